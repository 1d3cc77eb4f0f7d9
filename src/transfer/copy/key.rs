//! Which import this is: a key over what is read, where it goes and what may be changed on the way. The same three go on with one
//! another, in whatever order the tables come. Pure but for measuring the tables.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::runbook::transfer::Transfer;
use crate::transfer::Error;
use crate::transfer::copy::record::MadeOf;
use crate::transfer::error::read;
use crate::transfer::layout::Layout;
use crate::transfer::plan::scan::open;
use crate::transfer::reader::{Span, estimate};

/// How large a table is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Rows, estimated.
    pub rows: u64,
    /// The range of rowids.
    pub span: Span,
}

/// How large the tables are, by source name.
#[derive(Debug, Clone, Default)]
pub struct Sizes(BTreeMap<String, Size>);

impl Sizes {
    /// Measures the tables.
    pub fn measure(source: &Path, layout: &Layout) -> Result<Self, Error> {
        let connection = open(source)?;
        let mut sizes = BTreeMap::new();
        for table in &layout.tables {
            let name = &table.source.name;
            let (rows, span) = estimate(&connection, &table.source).map_err(read(source, name))?;
            sizes.insert(name.clone(), Size { rows, span });
        }
        Ok(Self(sizes))
    }

    /// Of a table that was measured.
    pub fn of(&self, source_table: &str) -> Size {
        *self
            .0
            .get(source_table)
            .expect("BUG: every table of the layout was measured")
    }
}

/// What the key is made of. `source` is the content's hash, or names the run that vouches for it.
pub fn made_of(source: &str, layout: &Layout, transfer: &Transfer) -> MadeOf {
    let pairs: BTreeMap<&str, _> = layout
        .tables
        .iter()
        .map(|table| {
            let columns: Vec<_> = table
                .columns
                .iter()
                .map(|column| {
                    let target = &column.target;
                    (table.source_name(column), &target.name, &target.ty.shown)
                })
                .collect();
            (table.source.name.as_str(), (&table.target.name, columns))
        })
        .collect();
    // What is checked afterwards changes nothing that is loaded.
    let loading = Transfer {
        lists: Vec::new(),
        slugs: Vec::new(),
        ..transfer.clone()
    };
    MadeOf {
        source: source.to_owned(),
        tables: hash(&serde_json::json!(pairs)),
        transfer: hash(&serde_json::json!(loading)),
    }
}

/// The key of an import into `schema`: 32 hexadecimal digits.
pub fn of(made_of: &MadeOf, schema: &str) -> String {
    hash(&serde_json::json!([made_of, schema]))
}

/// In what two imports differ, in words; None where in nothing.
pub fn difference(one: &MadeOf, other: &MadeOf) -> Option<&'static str> {
    if one.source != other.source {
        Some("the source was another, or has changed since")
    } else if one.tables != other.tables {
        Some("its tables or columns were others")
    } else if one.transfer != other.transfer {
        Some("its transfer section was another")
    } else {
        None
    }
}

fn hash(value: &serde_json::Value) -> String {
    Sha256::digest(value.to_string())
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
