//! Texts that a nondeterministic collation of the target takes for equal: `café` and `cafe`, `Straße` and `STRASSE`. Only the server knows
//! its collations, so the texts of the keys concerned are shown to it. `citext` is not asked about: it folds letter case.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use tokio_postgres::Client;

use crate::postgres::catalogue::{BaseType, ConstraintKind};
use crate::sqlite::schema::quoted;
use crate::transfer::Error;
use crate::transfer::error::{read, server};
use crate::transfer::layout::Layout;
use crate::transfer::plan::scan::open;
use crate::transfer::plan::{arrival, consequences};

/// Two columns of a foreign key, each by the places of its table and its own: the child's and the parent's.
type Ends = ((usize, usize), (usize, usize));

/// What the server takes for equal, per pair of columns.
#[derive(Debug, Clone, Default)]
pub struct Spellings {
    /// Each text with the one that stands for all that are equal to it.
    pairs: Arc<Vec<(Ends, HashMap<String, String>)>>,
}

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folding<'s> {
    /// By their bytes.
    No,
    /// Without letter case.
    Case,
    /// As the server said.
    Spelled(&'s HashMap<String, String>),
}

impl Folding<'_> {
    /// A text that is the same for all that are equal.
    pub fn of(self, text: &str) -> String {
        match self {
            Self::No => text.to_owned(),
            Self::Case => text.to_lowercase(),
            Self::Spelled(texts) => texts.get(text).cloned().unwrap_or_else(|| text.to_owned()),
        }
    }
}

impl Spellings {
    /// The number under which SQL asks for the comparison of two columns.
    pub fn number(&self, layout: &Layout, here: (usize, usize), there: (usize, usize)) -> usize {
        let known = self
            .pairs
            .iter()
            .position(|(ends, _)| *ends == (here, there));
        let folds = |(table, column): (usize, usize)| {
            let table = &layout.tables[table];
            table.columns[column].target.folds
        };
        match known {
            Some(place) => place + 2,
            None => usize::from(folds(here) || folds(there)),
        }
    }

    /// What a number stands for.
    pub fn folding(&self, number: usize) -> Folding<'_> {
        match number {
            0 => Folding::No,
            1 => Folding::Case,
            more => self
                .pairs
                .get(more - 2)
                .map_or(Folding::Case, |(_, texts)| Folding::Spelled(texts)),
        }
    }

    /// Shows the server the texts of every foreign key that a collation of its own compares.
    ///
    /// # Errors
    /// A side could not be read.
    pub async fn ask(client: &Client, source: &Path, layout: &Arc<Layout>) -> Result<Self, Error> {
        let mut pairs = Vec::new();
        for ends in compared_by_collation(layout) {
            let texts = texts(source, layout, ends).await?;
            pairs.push((ends, equal(client, layout, ends.1, texts).await?));
        }
        Ok(Self {
            pairs: Arc::new(pairs),
        })
    }
}

/// The pairs of columns of foreign keys that a nondeterministic collation compares.
fn compared_by_collation(layout: &Layout) -> Vec<Ends> {
    let mut found = Vec::new();
    for (child, table) in layout.tables.iter().enumerate() {
        let keys = table.target.constraints.iter();
        for key in keys.filter(|key| key.kind == ConstraintKind::Foreign) {
            let Some(parent) = consequences::parent(layout, key) else {
                continue;
            };
            for (here, there) in key.columns.iter().zip(&key.referenced_columns) {
                let place = |table: usize, name: &String| {
                    let mut columns = layout.tables[table].columns.iter();
                    let at = columns.position(|column| column.target.name == *name)?;
                    Some((table, at))
                };
                let (Some(here), Some(there)) = (place(child, here), place(parent, there)) else {
                    continue;
                };
                let column = &layout.tables[there.0].columns[there.1].target;
                let is_citext =
                    matches!(&column.ty.base, BaseType::Named { name, .. } if name == "citext");
                if column.folds && !is_citext && !found.contains(&(here, there)) {
                    found.push((here, there));
                }
            }
        }
    }
    found
}

/// The texts of both columns, as they will arrive.
async fn texts(source: &Path, layout: &Arc<Layout>, ends: Ends) -> Result<Vec<String>, Error> {
    let (path, layout) = (source.to_path_buf(), layout.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let connection = open(&path)?;
        arrival::register(&connection, &layout, &Spellings::default())
            .map_err(read(&path, "its settings"))?;
        let mut texts: BTreeSet<String> = BTreeSet::new();
        for (place, column) in [ends.0, ends.1] {
            let table = &layout.tables[place];
            let name = quoted(table.source_name(&table.columns[column]));
            let sql = format!(
                "SELECT DISTINCT cutover_arrives({place}, {column}, 0, {name}) FROM {} WHERE {name} IS NOT NULL",
                quoted(&table.source.name)
            );
            let mut look = || -> rusqlite::Result<()> {
                let mut statement = connection.prepare(&sql)?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    if let Some(bytes) = row.get::<_, Option<Vec<u8>>>(0)? {
                        texts.insert(String::from_utf8_lossy(&bytes).into_owned());
                    }
                }
                Ok(())
            };
            look().map_err(read(&path, &table.source.name))?;
        }
        Ok(texts.into_iter().collect())
    });
    reading.await.expect("BUG: reading the texts panicked")
}

/// Each text with the first of those that the parent's column takes for equal to it.
async fn equal(
    client: &Client,
    layout: &Layout,
    (table, column): (usize, usize),
    texts: Vec<String>,
) -> Result<HashMap<String, String>, Error> {
    let doing = || server("asking which texts a collation takes for equal");
    let column = &layout.tables[table].columns[column].target;
    let collation = column.collation.as_deref();
    let collate = collation.map_or(String::new(), |name| format!(" COLLATE {name}"));
    let ty = &column.ty.base_shown;
    let sql = format!(
        "SELECT v::text, first_value(v::text) OVER (PARTITION BY v::{ty}{collate} ORDER BY v COLLATE \"C\")
           FROM unnest($1::text[]) AS all_texts(v)"
    );
    let rows = client.query(&sql, &[&texts]).await.map_err(doing())?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
