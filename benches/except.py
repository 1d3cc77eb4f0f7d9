"""DuckDB's one-directional EXCEPT per table over the bench data, casts by hand: prints the seconds of the queries alone.

Usage: except.py SQLITE_FILE POSTGRES_URL      needs duckdb and its sqlite and postgres extensions, as packages or installed
"""
import importlib.util
import pathlib
import sys
import time

import duckdb

TABLES = {
    "ToolCategories": '"Id"::INT, "Slug", "Name", "ParentId"::INT',
    "ToolContents": '"Id"::INT, "Slug", "Title", "Body", "IsPublished"::BOOL, "Price"::DECIMAL(10,2), "Rating"::DOUBLE, '
    '"ExternalId"::UUID, "CreatedAt"::TIMESTAMPTZ, "UpdatedAt"::TIMESTAMPTZ, "CategoryId"::INT',
    "ToolFeatures": '"Id"::INT, "ToolContentId"::INT, "Name", "Value"::BIGINT, "Enabled"::BOOL',
    "ToolSteps": '"Id"::INT, "ToolContentId"::INT, "Ordinal"::INT, "Text", "Payload"',
}


def load(session, name):
    """From the package where there is one, else as DuckDB finds it."""
    found = importlib.util.find_spec(f"duckdb_extension_{name}")
    files = [file for root in (found.submodule_search_locations if found else []) for file in pathlib.Path(root).rglob("*.duckdb_extension")]
    session.execute(f"LOAD '{files[0]}'" if files else f"LOAD {name}")


def main(file, url):
    session = duckdb.connect()
    load(session, "sqlite_scanner")
    load(session, "postgres_scanner")
    session.execute(f"SET TimeZone = 'UTC'; ATTACH '{file}' AS s (TYPE sqlite, READ_ONLY); ATTACH '{url}' AS p (TYPE postgres, READ_ONLY)")
    began = time.monotonic()
    for table, columns in TABLES.items():
        sql = f'SELECT count(*) FROM (SELECT {columns} FROM s."{table}" EXCEPT SELECT * FROM p.public."{table}")'
        differing = session.execute(sql).fetchone()[0]
        if differing:
            sys.exit(f"{table}: {differing} rows differ: the casts do not fit the data")
    print(f"{time.monotonic() - began:.2f}")


main(*sys.argv[1:])
