//! Columns that need a setting, or a type that few applications have: what is in SQLite, and what PostgreSQL has to show. One for each value
//! that a setting takes.

/// A column with its values.
#[derive(Debug)]
pub struct Specimen {
    pub declared: &'static str,
    /// The type, and what else the target says of the column.
    pub target: &'static str,
    /// As SQL for SQLite, and as PostgreSQL writes it.
    pub values: &'static [(&'static str, &'static str)],
    /// What the user states beforehand; empty where nothing is needed, or `plan` has to suggest it.
    pub stated: &'static str,
    /// A value that no row has, as SQL for PostgreSQL.
    pub fresh: &'static str,
}

const fn specimen(
    declared: &'static str,
    target: &'static str,
    values: &'static [(&'static str, &'static str)],
    stated: &'static str,
    fresh: &'static str,
) -> Specimen {
    Specimen {
        declared,
        target,
        values,
        stated,
        fresh,
    }
}

impl Specimen {
    /// Whether a row may have none.
    pub fn takes_null(&self) -> bool {
        !self.target.contains("NOT NULL")
    }
}

/// What the specimens' types need on the target.
pub const TYPES: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE FUNCTION trimmed(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT btrim(t) $$;
CREATE FUNCTION is_label(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trimmed(t) <> ''; END $$;
CREATE DOMAIN label AS text CHECK (is_label(VALUE));
CREATE DOMAIN above_zero AS bigint CHECK (VALUE > 0);
CREATE DOMAIN above_ten AS above_zero CHECK (VALUE > 10);\n";

const DATE: &str = "'2031-05-06'";
const MOMENT: &str = "'2031-05-06 07:08:09+00'";
const GUID: &str = "'00000000-0000-0000-0000-000000000002'";

pub const SPECIMENS: &[Specimen] = &[
    // Units.
    specimen(
        "INTEGER",
        "timestamptz",
        &[
            ("1706745600", "2024-02-01 00:00:00+00"),
            ("1709251199", "2024-02-29 23:59:59+00"),
        ],
        "",
        MOMENT,
    ),
    specimen(
        "INTEGER",
        "timestamptz",
        &[
            ("1706745600123", "2024-02-01 00:00:00.123+00"),
            ("1709251199000", "2024-02-29 23:59:59+00"),
        ],
        "",
        MOMENT,
    ),
    specimen(
        "INTEGER",
        "timestamp",
        &[("1706745600123456", "2024-02-01 00:00:00.123456")],
        "",
        MOMENT,
    ),
    specimen(
        "INTEGER",
        "timestamp",
        &[("1706745600123456000", "2024-02-01 00:00:00.123456")],
        "",
        MOMENT,
    ),
    specimen(
        "INTEGER",
        "date",
        &[("19754", "2024-02-01"), ("19782", "2024-02-29")],
        "epoch: days",
        DATE,
    ),
    specimen(
        "INTEGER",
        "timestamp",
        &[
            ("638423424000000000", "2024-02-01 00:00:00"),
            ("638423424000000010", "2024-02-01 00:00:00.000001"),
        ],
        "epoch: ticks",
        MOMENT,
    ),
    specimen(
        "REAL",
        "timestamp",
        &[
            ("2460342.0", "2024-02-01 12:00:00"),
            ("2460341.75", "2024-02-01 06:00:00"),
        ],
        "",
        MOMENT,
    ),
    specimen(
        "REAL",
        "timestamp",
        &[
            ("45323.5", "2024-02-01 12:00:00"),
            ("45323.25", "2024-02-01 06:00:00"),
        ],
        "epoch: oadate",
        MOMENT,
    ),
    specimen(
        "INTEGER",
        "timestamptz",
        &[("5250109442427387904", "2024-02-01 00:00:00+00")],
        "epoch: dotnet_binary",
        MOMENT,
    ),
    specimen(
        "INTEGER",
        "timestamptz",
        &[("1307491172352000000", "2024-02-01 00:00:00+00")],
        "epoch: ef_offset",
        MOMENT,
    ),
    specimen(
        "INTEGER",
        "timestamp",
        &[
            ("20240201123456", "2024-02-01 12:34:56"),
            ("20240229000000", "2024-02-29 00:00:00"),
        ],
        "",
        MOMENT,
    ),
    specimen(
        "bigint",
        "interval",
        &[("5400000000", "01:30:00"), ("1", "00:00:00.000001")],
        "epoch: us",
        "'1 hour'",
    ),
    // Moments in text.
    specimen(
        "TEXT",
        "timestamp(3)",
        &[("'2024-02-01 10:00:00.1239'", "2024-02-01 10:00:00.123")],
        "fraction: truncate",
        MOMENT,
    ),
    specimen(
        "TEXT",
        "timestamp(3)",
        &[("'2024-02-01 10:00:00.1239'", "2024-02-01 10:00:00.124")],
        "fraction: round",
        MOMENT,
    ),
    specimen(
        "TEXT",
        "timestamptz",
        &[
            ("'2024-02-01 12:00:00+02:00'", "2024-02-01 10:00:00+00"),
            ("'2024-02-01 12:00:00 +0530 IST'", "2024-02-01 06:30:00+00"),
        ],
        "",
        MOMENT,
    ),
    specimen(
        "TEXT",
        "timestamptz",
        &[("'2024-02-01 12:00:00'", "2024-02-01 10:00:00+00")],
        "zone: \"+02:00\"",
        MOMENT,
    ),
    specimen(
        "TEXT",
        "date",
        &[("'2024-02-01 00:00:00'", "2024-02-01")],
        "",
        DATE,
    ),
    specimen(
        "TEXT",
        "date",
        &[
            ("'2024-02-01 10:00:00'", "2024-02-01"),
            ("'2024-02-29 23:59:59'", "2024-02-29"),
        ],
        "time: drop",
        DATE,
    ),
    specimen(
        "TEXT",
        "timestamp",
        &[("'12024-02-03 04:05:06'", "12024-02-03 04:05:06")],
        "far_years: keep",
        MOMENT,
    ),
    specimen(
        "TEXT",
        "interval",
        &[
            ("'1970-01-01 03:00:00.000000'", "03:00:00"),
            ("'1970-01-01 00:00:00.500000'", "00:00:00.5"),
        ],
        "since: 1970-01-01",
        "'1 hour'",
    ),
    specimen(
        "TEXT",
        "time",
        &[("'12:34'", "12:34:00"), ("'01:02:03.5'", "01:02:03.5")],
        "",
        "'01:00'",
    ),
    // Values that stand for something else, and what to do with what does not fit.
    specimen(
        "INTEGER",
        "timestamptz",
        &[
            ("253402300799", "infinity"),
            ("1706745600", "2024-02-01 00:00:00+00"),
        ],
        "epoch: s, values: { 253402300799: infinity }",
        MOMENT,
    ),
    specimen(
        "TEXT",
        "mood",
        &[("'InOrder'", "ok"), ("'happy'", "happy")],
        "values: { InOrder: ok }",
        "'sad'",
    ),
    specimen(
        "INTEGER",
        "mood",
        &[("0", "sad"), ("2", "happy")],
        "",
        "'ok'",
    ),
    specimen(
        "TEXT",
        "text NOT NULL DEFAULT 'none'",
        &[("NULL", "none"), ("'some'", "some")],
        "",
        "'fresh'",
    ),
    specimen(
        "INTEGER",
        "bigint",
        &[("7", "7"), ("8", "8")],
        "on_problem: refuse",
        "7",
    ),
    specimen(
        "INTEGER",
        "integer",
        &[("7", "7"), ("8", "8")],
        "on_problem: null",
        "7",
    ),
    // Truth and GUIDs.
    specimen(
        "TEXT",
        "boolean",
        &[("'yes'", "true"), ("'no'", "false"), ("'t'", "true")],
        "",
        "true",
    ),
    specimen(
        "BLOB",
        "boolean",
        &[("x'01'", "true"), ("x'00'", "false")],
        "",
        "true",
    ),
    specimen(
        "BLOB",
        "uuid",
        &[(
            "x'33221100554477468899aabbccddeeff'",
            "00112233-4455-4677-8899-aabbccddeeff",
        )],
        "guid_bytes: dotnet",
        GUID,
    ),
    specimen(
        "BLOB",
        "uuid",
        &[(
            "x'00112233445546778899aabbccddeeff'",
            "00112233-4455-4677-8899-aabbccddeeff",
        )],
        "guid_bytes: rfc4122",
        GUID,
    ),
    specimen(
        "TEXT",
        "uuid",
        &[(
            "'{00112233-4455-4677-8899-AABBCCDDEEFF}'",
            "00112233-4455-4677-8899-aabbccddeeff",
        )],
        "",
        GUID,
    ),
    // Numbers.
    specimen(
        "REAL",
        "numeric(10,2)",
        &[("12.34", "12.34"), ("0.1", "0.10"), ("-7.0", "-7.00")],
        "",
        "1.5",
    ),
    specimen(
        "REAL",
        "real",
        &[("0.1", "0.1"), ("1234.5678", "1234.5677")],
        "real: nearest",
        "2.5",
    ),
    specimen(
        "NUMERIC_TEXT",
        "numeric(10,2)",
        &[("'12.345'", "12.35"), ("'-12.345'", "-12.35")],
        "scale: round",
        "1.5",
    ),
    specimen(
        "NUMERIC_TEXT",
        "numeric(10,2)",
        &[("'12.349'", "12.34"), ("'-12.349'", "-12.34")],
        "scale: truncate",
        "1.5",
    ),
    specimen(
        "NUMERIC_TEXT",
        "numeric(10,2)",
        &[("'-0.00'", "0.00"), ("'1.5'", "1.50")],
        "negative_zero: drop",
        "1.5",
    ),
    specimen(
        "UBIGINT",
        "numeric(20,0)",
        &[("-1", "18446744073709551615"), ("7", "7")],
        "unsigned: wrap",
        "12",
    ),
    specimen(
        "BIGINT",
        "numeric(20,0)",
        &[("-5", "-5"), ("7", "7")],
        "unsigned: signed",
        "12",
    ),
    specimen("INTEGER", "smallint", &[("-32768", "-32768")], "", "5"),
    specimen(
        "INTEGER",
        "above_ten",
        &[("11", "11"), ("99", "99")],
        "",
        "12",
    ),
    // Text and bytes.
    specimen(
        "TEXT",
        "text",
        &[("'a' || char(0) || 'b'", "ab"), ("'c'", "c")],
        "",
        "'fresh'",
    ),
    specimen(
        "TEXT",
        "text",
        &[("CAST(x'61ff62' AS TEXT)", "a\u{FFFD}b")],
        "",
        "'fresh'",
    ),
    specimen(
        "TEXT",
        "char(3)",
        &[("'ab'", "ab"), ("'abc'", "abc")],
        "",
        "'xyz'",
    ),
    specimen(
        "TEXT",
        "bytea",
        &[("'text'", "\\x74657874")],
        "bytes: utf8",
        "'\\x00'",
    ),
    specimen("BLOB", "text", &[("x'74657874'", "text")], "", "'fresh'"),
    specimen(
        "BLOB",
        "jsonb",
        &[
            ("jsonb('{\"a\":[1,\"x\"]}')", "{\"a\": [1, \"x\"]}"),
            ("jsonb('{\"b\":\"two\"}')", "{\"b\": \"two\"}"),
        ],
        "jsonb_blob: decode",
        "'{}'",
    ),
    specimen("TEXT", "label", &[("'a label'", "a label")], "", "'fresh'"),
    specimen("TEXT", "json", &[("'[1, 2.50]'", "[1, 2.50]")], "", "'{}'"),
    // Lists, addresses, bits.
    specimen(
        "TEXT",
        "text[]",
        &[("'a,b'", "{a,b}"), ("'c'", "{c}"), ("''", "{}")],
        "split: \",\"",
        "'{x}'",
    ),
    specimen(
        "TEXT",
        "integer[]",
        &[("'[1,2]'", "{1,2}"), ("'[]'", "{}")],
        "",
        "'{7}'",
    ),
    specimen(
        "TEXT",
        "inet",
        &[
            ("'10.0.0.1/24'", "10.0.0.1/24"),
            ("'10.0.0.2'", "10.0.0.2/32"),
        ],
        "",
        "'10.9.9.9'",
    ),
    specimen(
        "TEXT",
        "cidr",
        &[("'10.0.0.0/8'", "10.0.0.0/8")],
        "",
        "'10.1.0.0/16'",
    ),
    specimen("TEXT", "bit(3)", &[("'101'", "101")], "", "B'000'"),
    specimen(
        "TEXT",
        "mood[]",
        &[("'[\"sad\",\"ok\"]'", "{sad,ok}")],
        "",
        "'{ok}'",
    ),
];
