//! The kinds of tables, and a row for each of them.

use rand::Rng;
use rand::rngs::StdRng;

use super::values;

/// A table that the application has.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its name, quoted.
    pub name: String,
    /// Columns that can be written, quoted, and what goes into them.
    pub columns: Vec<(String, Holds)>,
    /// Columns by which a row is chosen; the rowid where there are none.
    pub key: Vec<String>,
    /// Rows have a rowid that can be named.
    pub has_rowid: bool,
}

/// What a column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    Any,
    Integer,
    Real,
    Text,
    Blob,
    Long,
    /// Left to SQLite, or a number.
    Id,
}

impl Holds {
    pub fn value(self, rng: &mut StdRng) -> String {
        match self {
            Self::Any => values::any(rng),
            Self::Integer => values::integer(rng),
            Self::Real => values::real(rng),
            Self::Text => values::text(rng),
            Self::Blob => values::blob(rng, 60),
            Self::Long => values::long(rng),
            Self::Id if rng.random_bool(0.4) => "NULL".to_owned(),
            Self::Id => rng.random_range(-20..400_i64).to_string(),
        }
    }
}

/// One kind: what stands behind its name in CREATE TABLE, its columns, its key.
pub struct Kind {
    pub body: &'static str,
    pub columns: &'static [(&'static str, Holds)],
    pub key: &'static [&'static str],
    pub has_rowid: bool,
    /// What an index is made over, if there is one.
    pub index: Option<&'static str>,
}

/// All kinds.
pub const KINDS: &[Kind] = &[
    Kind {
        body: "(id INTEGER PRIMARY KEY, a TEXT, b, c BLOB)",
        columns: &[
            ("id", Holds::Id),
            ("a", Holds::Text),
            ("b", Holds::Any),
            ("c", Holds::Blob),
        ],
        key: &["id"],
        has_rowid: true,
        index: Some("(a, b)"),
    },
    Kind {
        body: "(\"Id No\" INTEGER PRIMARY KEY AUTOINCREMENT, \"select\" TEXT UNIQUE, \"it's\" NUMERIC)",
        columns: &[
            ("\"Id No\"", Holds::Id),
            ("\"select\"", Holds::Text),
            ("\"it's\"", Holds::Any),
        ],
        key: &["\"Id No\""],
        has_rowid: true,
        index: None,
    },
    Kind {
        body: "(k TEXT COLLATE NOCASE PRIMARY KEY, v)",
        columns: &[("k", Holds::Text), ("v", Holds::Any)],
        key: &["k"],
        has_rowid: true,
        index: None,
    },
    Kind {
        body: "(k TEXT COLLATE NOCASE, n, v, PRIMARY KEY (k, n)) WITHOUT ROWID",
        columns: &[("k", Holds::Text), ("n", Holds::Any), ("v", Holds::Any)],
        key: &["k", "n"],
        has_rowid: false,
        index: Some("(v)"),
    },
    Kind {
        body: "(v BLOB, n REAL, k TEXT COLLATE RTRIM, PRIMARY KEY (k DESC, n)) WITHOUT ROWID",
        columns: &[("v", Holds::Long), ("n", Holds::Real), ("k", Holds::Text)],
        key: &["k", "n"],
        has_rowid: false,
        index: None,
    },
    Kind {
        body: "(k PRIMARY KEY, v) WITHOUT ROWID",
        columns: &[("k", Holds::Any), ("v", Holds::Any)],
        key: &["k"],
        has_rowid: false,
        index: None,
    },
    Kind {
        body: "(a, b, c)",
        columns: &[("a", Holds::Any), ("b", Holds::Integer), ("c", Holds::Text)],
        key: &[],
        has_rowid: true,
        index: None,
    },
    Kind {
        body: "(a INT, b)",
        columns: &[("a", Holds::Integer), ("b", Holds::Integer)],
        key: &[],
        has_rowid: true,
        index: Some("(a)"),
    },
    Kind {
        body: "(id INTEGER PRIMARY KEY, i INT, r REAL, t TEXT, b BLOB, x ANY) STRICT",
        columns: &[
            ("id", Holds::Id),
            ("i", Holds::Integer),
            ("r", Holds::Real),
            ("t", Holds::Text),
            ("b", Holds::Blob),
            ("x", Holds::Any),
        ],
        key: &["id"],
        has_rowid: true,
        index: Some("(r)"),
    },
    Kind {
        body: "(id INTEGER PRIMARY KEY, a INT, twice AS (a * 2) VIRTUAL, kept TEXT AS (a || 'x') STORED, b)",
        columns: &[("id", Holds::Id), ("a", Holds::Integer), ("b", Holds::Any)],
        key: &["id"],
        has_rowid: true,
        index: Some("(twice)"),
    },
    Kind {
        body: "(a, kept AS (a || b) STORED, b TEXT, v, PRIMARY KEY (b, a)) WITHOUT ROWID",
        columns: &[("a", Holds::Any), ("b", Holds::Text), ("v", Holds::Any)],
        key: &["b", "a"],
        has_rowid: false,
        index: None,
    },
    Kind {
        body: "(a, b, v, PRIMARY KEY (b, a))",
        columns: &[("a", Holds::Any), ("b", Holds::Integer), ("v", Holds::Any)],
        key: &["b", "a"],
        has_rowid: true,
        index: None,
    },
    Kind {
        body: "(k PRIMARY KEY, v REAL)",
        columns: &[("k", Holds::Any), ("v", Holds::Real)],
        key: &["k"],
        has_rowid: true,
        index: Some("(v)"),
    },
    Kind {
        body: "(id INTEGER PRIMARY KEY DESC, v)",
        columns: &[("id", Holds::Integer), ("v", Holds::Any)],
        key: &["id"],
        has_rowid: true,
        index: None,
    },
    Kind {
        body: "(id INTEGER PRIMARY KEY, body TEXT, raw BLOB)",
        columns: &[
            ("id", Holds::Id),
            ("body", Holds::Long),
            ("raw", Holds::Long),
        ],
        key: &["id"],
        has_rowid: true,
        index: None,
    },
    // All three names of the rowid are taken.
    Kind {
        body: "(rowid INT, oid TEXT, _rowid_, v)",
        columns: &[
            ("rowid", Holds::Integer),
            ("oid", Holds::Text),
            ("_rowid_", Holds::Any),
            ("v", Holds::Any),
        ],
        key: &["rowid", "oid"],
        has_rowid: false,
        index: None,
    },
    Kind {
        body: "(rowid TEXT, v)",
        columns: &[("rowid", Holds::Text), ("v", Holds::Any)],
        key: &["rowid"],
        has_rowid: false,
        index: None,
    },
];

impl Kind {
    pub fn made(&self, name: String) -> Made {
        let columns = self.columns.iter();
        Made {
            name,
            columns: columns
                .map(|(column, holds)| ((*column).to_owned(), *holds))
                .collect(),
            key: self.key.iter().map(|key| (*key).to_owned()).collect(),
            has_rowid: self.has_rowid,
        }
    }
}

impl Made {
    /// Columns and values of a row, for INSERT.
    pub fn row(&self, rng: &mut StdRng) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let values: Vec<String> = self
            .columns
            .iter()
            .map(|(_, holds)| holds.value(rng))
            .collect();
        format!("({}) VALUES ({})", names.join(", "), values.join(", "))
    }

    /// The row at this place of the scan, as a condition.
    pub fn at(&self, place: u32) -> String {
        let name = &self.name;
        if self.has_rowid {
            return format!(
                "rowid = (SELECT rowid FROM {name} ORDER BY rowid LIMIT 1 OFFSET {place})"
            );
        }
        let key = self.key.join(", ");
        format!("({key}) IS (SELECT {key} FROM {name} NOT INDEXED LIMIT 1 OFFSET {place})")
    }
}
