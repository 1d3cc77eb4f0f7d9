//! Which columns refer to which tables: as declared in the source, as declared in the target, and where only the names say so.

use super::super::equality::Kind;
use super::super::error::Error;
use super::super::pair::{TablePair, literal, quoted};
use super::super::sides::Sides;
use crate::text::printable;
use std::sync::Arc;

/// How a relation is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Declared {
    /// A foreign key of the target.
    InTarget,
    /// A foreign key of the source that the target does not have.
    InSource,
    /// No foreign key anywhere: a column is called after a table.
    ByName,
}

/// Columns of one table that refer to another.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) child: Arc<TablePair>,
    /// Source names of the referring columns.
    pub(super) columns: Vec<String>,
    pub(super) parent: Arc<TablePair>,
    /// Source names of the columns referred to.
    pub(super) parent_columns: Vec<String>,
    pub(super) declared: Declared,
    /// The target's own operators of the key, qualified: without its schema that of an extension's type (citext) would not be found, and
    /// another taken. Empty where no key says any.
    pub(super) operators: Vec<String>,
}

impl Relation {
    /// `Tools.CategoryId → Categories`.
    pub(super) fn title(&self) -> String {
        let (child, parent) = (
            printable(&self.child.source, 80),
            printable(&self.parent.source, 80),
        );
        format!(
            "{child}.{} → {parent}",
            printable(&self.columns.join(","), 80)
        )
    }

    /// A condition on `c`, a child: it refers to something, and that is not there. `name` says how the database at hand calls a column.
    fn orphan_sql(
        &self,
        parent: &str,
        name: impl Fn(&TablePair, &str) -> String,
        meets: impl Fn(usize, &str, &str) -> String,
    ) -> String {
        let refers: Vec<_> = self
            .columns
            .iter()
            .map(|column| format!("c.{} IS NOT NULL", name(&self.child, column)))
            .collect();
        let both = self.columns.iter().zip(&self.parent_columns);
        let meets: Vec<_> = both
            .enumerate()
            .map(|(at, (column, key))| {
                meets(at, &name(&self.parent, key), &name(&self.child, column))
            })
            .collect();
        format!(
            "{} AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {})",
            refers.join(" AND "),
            meets.join(" AND ")
        )
    }

    /// The condition for the source. A parent that the import put aside is none.
    pub(super) fn source_orphan_sql(&self) -> String {
        let table = quoted(&self.parent.source);
        let aside = self.parent.aside.as_ref().filter(|aside| !aside.is_empty());
        let parent = match (aside, self.parent.rowid) {
            (None, _) => table,
            (Some(aside), Some(rowid)) => {
                let rows: Vec<&str> = aside
                    .iter()
                    .filter(|row| row.parse::<i64>().is_ok())
                    .map(String::as_str)
                    .collect();
                format!(
                    "(SELECT * FROM {table} WHERE {rowid} NOT IN ({}))",
                    rows.join(", ")
                )
            }
            // What names such a row is no number: none of them counts as there.
            (Some(_), None) => format!("(SELECT * FROM {table} WHERE 0)"),
        };
        // PostgreSQL compares bytes: what only SQLite's NOCASE found has no parent there.
        let meets = |_, parent: &str, child: &str| format!("p.{parent} = c.{child} COLLATE BINARY");
        self.orphan_sql(&parent, |_, column| quoted(column), meets)
    }

    /// The condition for the target.
    pub(super) fn target_orphan_sql(&self) -> String {
        let name = |pair: &TablePair, column: &str| {
            quoted(
                pair.column(column)
                    .map_or(column, |pair| pair.target.as_str()),
            )
        };
        let meets = |at: usize, parent: &str, child: &str| {
            let operator = self.operators.get(at).map_or("=", String::as_str);
            format!("p.{parent} {operator} c.{child}")
        };
        self.orphan_sql(&self.parent.target_sql(), name, meets)
    }

    fn is(&self, other: &Self) -> bool {
        (&self.child.source, &self.columns, &self.parent.source)
            == (&other.child.source, &other.columns, &other.parent.source)
    }
}

/// Every relation between tables that are compared, each once, the best declaration first.
pub(super) async fn all(sides: &Sides) -> Result<Vec<Relation>, Error> {
    let mut relations = of_target(sides).await?;
    for relation in of_source(sides).into_iter().chain(by_name(sides)) {
        let known = relations.iter().any(|other| relation.is(other));
        let column_known = relation.declared == Declared::ByName
            && relations.iter().any(|other| {
                other.child.source == relation.child.source && other.columns == relation.columns
            });
        if !known && !column_known {
            relations.push(relation);
        }
    }
    relations.sort_by_key(|relation| {
        (
            relation.child.source.clone(),
            relation.columns.clone(),
            relation.declared,
        )
    });
    Ok(relations)
}

async fn of_target(sides: &Sides) -> Result<Vec<Relation>, Error> {
    let sql = format!(
        "SELECT c.relname, p.relname, ca.attname, pa.attname, f.oid, pg_catalog.format('OPERATOR(%I.%s)', opn.nspname, o.oprname)
           FROM pg_constraint f
           JOIN pg_class c ON c.oid = f.conrelid
           JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = {}
           JOIN pg_class p ON p.oid = f.confrelid
          CROSS JOIN LATERAL unnest(f.conkey, f.confkey, f.conpfeqop) WITH ORDINALITY AS k(child, parent, operator, place)
           JOIN pg_operator o ON o.oid = k.operator
           JOIN pg_namespace opn ON opn.oid = o.oprnamespace
           JOIN pg_attribute ca ON ca.attrelid = c.oid AND ca.attnum = k.child
           JOIN pg_attribute pa ON pa.attrelid = p.oid AND pa.attnum = k.parent
          WHERE f.contype = 'f' AND f.conparentid = 0 AND f.convalidated
          ORDER BY c.relname, f.conname, k.place",
        literal(&sides.schema)
    );
    let mut keys: Vec<(String, Relation)> = Vec::new();
    for row in sides.ask("reading the foreign keys", &sql).await? {
        let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let by_target = |name: &str| {
            sides
                .pairing
                .pairs
                .iter()
                .find(|pair| pair.target == name)
                .cloned()
        };
        let (Some(child), Some(parent)) = (by_target(&text(0)), by_target(&text(1))) else {
            continue;
        };
        let source = |pair: &TablePair, name: &str| {
            pair.columns
                .iter()
                .find(|c| c.target == name)
                .map(|c| c.source.clone())
        };
        let (Some(column), Some(key)) = (source(&child, &text(2)), source(&parent, &text(3)))
        else {
            continue;
        };
        match keys.last_mut() {
            Some((oid, relation)) if *oid == text(4) => {
                relation.columns.push(column);
                relation.parent_columns.push(key);
                relation.operators.push(text(5));
            }
            _ => {
                let (columns, parent_columns) = (vec![column], vec![key]);
                keys.push((
                    text(4),
                    Relation {
                        child,
                        columns,
                        parent,
                        parent_columns,
                        declared: Declared::InTarget,
                        operators: vec![text(5)],
                    },
                ));
            }
        }
    }
    Ok(keys.into_iter().map(|(_, relation)| relation).collect())
}

fn of_source(sides: &Sides) -> Vec<Relation> {
    let mut relations = Vec::new();
    for table in &sides.source_schema.tables {
        let Some(child) = sides.table(&table.name) else {
            continue;
        };
        for key in &table.foreign_keys {
            // SQLite does not care for letter case in names.
            let parent = sides
                .pairing
                .pairs
                .iter()
                .find(|pair| pair.source.eq_ignore_ascii_case(&key.parent));
            let Some(parent) = parent else { continue };
            let own_key = || {
                sides
                    .source_schema
                    .tables
                    .iter()
                    .find(|t| t.name == parent.source)
                    .map(|t| t.key.clone())
                    .unwrap_or_default()
            };
            let referred = if key.parent_columns.is_empty() {
                own_key()
            } else {
                key.parent_columns.clone()
            };
            let (Some(columns), Some(parent_columns)) =
                (spelled(child, &key.columns), spelled(parent, &referred))
            else {
                continue;
            };
            if columns.len() == parent_columns.len() {
                relations.push(Relation {
                    child: child.clone(),
                    columns,
                    parent: parent.clone(),
                    parent_columns,
                    declared: Declared::InSource,
                    operators: Vec::new(),
                });
            }
        }
    }
    relations
}

/// The names as the table itself spells them, if all of them are compared.
fn spelled(pair: &TablePair, names: &[String]) -> Option<Vec<String>> {
    let spell = |name: &String| {
        pair.columns
            .iter()
            .find(|column| column.source.eq_ignore_ascii_case(name))
            .map(|column| column.source.clone())
    };
    names.iter().map(spell).collect()
}

/// Columns such as `CategoryId` where exactly one table `…Categories` has a key of one column of the same kind.
fn by_name(sides: &Sides) -> Vec<Relation> {
    let mut relations = Vec::new();
    for child in &sides.pairing.pairs {
        for column in &child.columns {
            let Some(stem) = stem(&column.source) else {
                continue;
            };
            let fits = |parent: &&Arc<TablePair>| {
                parent.key_columns == 1
                    && same_sort(&parent.columns[0].rule.kind, &column.rule.kind)
                    && is_plural(&parent.source, &stem)
                    && !(parent.source == child.source && parent.columns[0].source == column.source)
            };
            let candidates: Vec<_> = sides.pairing.pairs.iter().filter(fits).collect();
            if let [parent] = candidates.as_slice() {
                relations.push(Relation {
                    child: child.clone(),
                    columns: vec![column.source.clone()],
                    parent: (*parent).clone(),
                    parent_columns: vec![parent.columns[0].source.clone()],
                    declared: Declared::ByName,
                    operators: Vec::new(),
                });
            }
        }
    }
    relations
}

/// `ToolContentId` and `tool_content_id` → `toolcontent`.
fn stem(column: &str) -> Option<String> {
    let base = column
        .strip_suffix("Id")
        .or_else(|| column.strip_suffix("_id"))
        .or_else(|| column.strip_suffix("ID"))?;
    let plain: String = base
        .chars()
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .collect();
    (plain.len() >= 3).then_some(plain)
}

fn is_plural(table: &str, stem: &str) -> bool {
    let plain: String = table
        .chars()
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .collect();
    let plural = |ending: &str| plain.ends_with(&format!("{stem}{ending}"));
    plural("")
        || plural("s")
        || plural("es")
        || stem
            .strip_suffix('y')
            .is_some_and(|base| plain.ends_with(&format!("{base}ies")))
}

fn same_sort(a: &Kind, b: &Kind) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_called_after_a_table() {
        for (column, table, meant) in [
            ("CategoryId", "ToolCategories", true),
            ("tool_content_id", "tool_contents", true),
            ("ToolId", "Tools", true),
            ("ToolId", "Categories", false),
            ("BoxId", "Boxes", true),
        ] {
            assert_eq!(
                stem(column).is_some_and(|stem| is_plural(table, &stem)),
                meant,
                "{column} {table}"
            );
        }
        assert_eq!(stem("Id"), None);
        assert_eq!(stem("Paid"), None);
    }
}
