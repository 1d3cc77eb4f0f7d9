"""The bench data from SQLite into PostgreSQL by DuckDB, casts by hand. Keys and indexes are the caller's business.

Usage: duckdb_copy.py SQLITE_FILE POSTGRES_URL | --probe      needs duckdb and its sqlite and postgres extensions, as packages or installed
"""
import importlib.util
import pathlib
import sys

import duckdb

TABLES = {
    "ToolCategories": '"Id"::INT, "Slug", "Name", "ParentId"::INT',
    "ToolContents": '"Id"::INT, "Slug", "Title", "Body", "IsPublished"::BOOL, "Price"::DECIMAL(10,2), "Rating"::DOUBLE, '
    '"ExternalId"::UUID, "CreatedAt"::TIMESTAMPTZ, "UpdatedAt"::TIMESTAMPTZ, "CategoryId"::INT',
    "ToolFeatures": '"Id"::INT, "ToolContentId"::INT, "Name", "Value"::BIGINT, "Enabled"::BOOL',
    "ToolSteps": '"Id"::INT, "ToolContentId"::INT, "Ordinal"::INT, "Text", "Payload"',
    "__EFMigrationsHistory": '"MigrationId", "ProductVersion"',
}


def load(session, name):
    """From the package where there is one, else as DuckDB finds it."""
    found = importlib.util.find_spec(f"duckdb_extension_{name}")
    files = [file for root in (found.submodule_search_locations if found else []) for file in pathlib.Path(root).rglob("*.duckdb_extension")]
    session.execute(f"LOAD '{files[0]}'" if files else f"LOAD {name}")


def main(file, url=None):
    session = duckdb.connect()
    load(session, "sqlite_scanner")
    load(session, "postgres_scanner")
    if file == "--probe":
        return
    session.execute(f"SET TimeZone = 'UTC'; ATTACH '{file}' AS s (TYPE sqlite, READ_ONLY); ATTACH '{url}' AS p (TYPE postgres)")
    for table, columns in TABLES.items():
        session.execute(f'INSERT INTO p.public."{table}" SELECT {columns} FROM s."{table}"')


main(*sys.argv[1:])
