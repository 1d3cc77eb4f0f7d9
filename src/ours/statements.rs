//! The one builder of statements that delete, empty or drop. Each names the objects that it means, one by one; where an object that is
//! not named depends on one that is, the statement fails instead of taking it along. `tests/architecture.rs` holds that no other file has
//! such a statement.
//!
//! Values only: nothing is run in here, and nobody is asked whether a thing may go.

use crate::text::quoted;

/// A relation, a type or an index of PostgreSQL by its schema and its name, both as the catalogue has them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub schema: String,
    pub name: String,
}

impl Name {
    /// The object `name` of `schema`.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Name {
        Name {
            schema: schema.into(),
            name: name.into(),
        }
    }

    /// For SQL, both parts between double quotes.
    pub fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

/// A table that is to be emptied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emptied {
    pub table: Name,
    /// Its rows are those of its partitions. Any other table is emptied alone: tables that inherit from it keep their rows.
    pub is_partitioned: bool,
}

/// Empties these tables and no other. Fails where a table that is not listed refers to one of them. `None` where the list is empty.
pub fn truncate(tables: &[Emptied]) -> Option<String> {
    let listed = tables.iter().map(|emptied| {
        // PostgreSQL refuses `ONLY` for a partitioned table, which has no rows of its own.
        let only = if emptied.is_partitioned { "" } else { "ONLY " };
        format!("{only}{}", emptied.table.quoted())
    });
    let listed: Vec<String> = listed.collect();
    (!listed.is_empty()).then(|| format!("TRUNCATE TABLE {} RESTRICT", listed.join(", ")))
}

/// Deletes the rows of a PostgreSQL table that fulfil a condition, which is SQL of ours with parameters (`key = $1`).
///
/// # Panics
/// The condition is empty: it would delete every row.
pub fn delete_rows(table: &Name, condition: &str) -> String {
    let condition = stated(condition);
    format!("DELETE FROM ONLY {} WHERE {condition}", table.quoted())
}

/// Deletes the rows of a SQLite table that fulfil a condition, which is SQL of ours with parameters (`"Id" IS ?1`).
///
/// # Panics
/// As [`delete_rows`].
pub fn delete_sqlite_rows(table: &str, condition: &str) -> String {
    let condition = stated(condition);
    let table = quoted(table);
    format!("DELETE FROM {table} WHERE {condition}")
}

/// The table that a rollback makes in the application's SQLite file, in the transaction in which it brings rows back: it says that they are in.
pub const BROUGHT_BACK: &str = "cutover_brought_back";

/// Drops that table, and no other. The caller has looked whether it is ours.
pub fn drop_brought_back() -> String {
    let table = quoted(BROUGHT_BACK);
    format!("DROP TABLE IF EXISTS main.{table}")
}

fn stated(condition: &str) -> &str {
    assert!(
        !condition.trim().is_empty(),
        "BUG: a statement without a condition deletes every row"
    );
    condition
}

/// Takes an index away. Fails where something depends on it.
pub fn drop_index(index: &Name) -> String {
    format!("DROP INDEX {} RESTRICT", index.quoted())
}

/// Takes a constraint away. Fails where something depends on it.
pub fn drop_constraint(table: &Name, constraint: &str) -> String {
    let (table, constraint) = (table.quoted(), quoted(constraint));
    format!("ALTER TABLE {table} DROP CONSTRAINT {constraint} RESTRICT")
}

/// Takes a trigger away, with its copies on the table's partitions. Fails where something depends on it.
pub fn drop_trigger(table: &Name, trigger: &str) -> String {
    let (table, trigger) = (table.quoted(), quoted(trigger));
    format!("DROP TRIGGER IF EXISTS {trigger} ON {table} RESTRICT")
}

/// The tables that `cutover` makes in the schema `cutover`. Whatever else lies there is somebody else's.
pub const OWN_TABLES: [&str; 12] = [
    "account",
    "definition",
    "feed_notes",
    "feed_tables",
    "import",
    "policy_use",
    "promise",
    "quarantine",
    "release",
    "scratch",
    "session",
    "task",
];

/// Drops our tables in the schema `cutover`, but for those in `keep`; and the schema, where none is to be kept. Fails, with nothing dropped,
/// where something of somebody else's lies there or hangs on one of them. The caller has looked whether something in them is nowhere else.
pub fn drop_own_tables(keep: &[&str]) -> String {
    let go = OWN_TABLES.iter().filter(|table| !keep.contains(table));
    let go: Vec<String> = go.map(|table| format!("cutover.{table}")).collect();
    let tables = format!("DROP TABLE IF EXISTS {} RESTRICT", go.join(", "));
    match keep {
        [] => format!("{tables}; DROP SCHEMA IF EXISTS cutover RESTRICT"),
        _ => tables,
    }
}

/// Drops a database with everything in it, and ends the sessions in it. Fails where one of them may not be ended.
pub fn drop_database(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name))
}

/// Drops a role. Fails where something belongs to it, or where it has a right on something.
pub fn drop_role(name: &str) -> String {
    format!("DROP ROLE IF EXISTS {}", quoted(name))
}

/// A kind of object that a rehearsal's migrations may have made, and that goes with the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Before tables: they are made of them.
    View,
    /// As [`Kind::View`].
    MaterialisedView,
    /// Plain and partitioned.
    Table,
    /// A table of another server.
    ForeignTable,
    /// One that belongs to no column.
    Sequence,
    Function,
    Procedure,
    /// An aggregate function.
    Aggregate,
    /// Enumerations, domains, ranges.
    Type,
    /// A row type of its own.
    CompositeType,
    Operator,
    Collation,
    /// A dictionary of text search.
    TextSearchDictionary,
    /// A configuration of text search.
    TextSearchConfiguration,
    /// An extension, with what it made.
    Extension,
    /// Only when nothing is in it any more.
    Schema,
}

impl Kind {
    /// Every kind, in the order in which they are tried.
    pub const ALL: [Kind; 16] = [
        Kind::View,
        Kind::MaterialisedView,
        Kind::Table,
        Kind::ForeignTable,
        Kind::Sequence,
        Kind::Function,
        Kind::Procedure,
        Kind::Aggregate,
        Kind::Type,
        Kind::CompositeType,
        Kind::Operator,
        Kind::Collation,
        Kind::TextSearchConfiguration,
        Kind::TextSearchDictionary,
        Kind::Extension,
        Kind::Schema,
    ];

    /// As `pg_identify_object` calls it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::View => "view",
            Kind::MaterialisedView => "materialized view",
            Kind::Table => "table",
            Kind::ForeignTable => "foreign table",
            Kind::Sequence => "sequence",
            Kind::Function => "function",
            Kind::Procedure => "procedure",
            Kind::Aggregate => "aggregate",
            Kind::Type => "type",
            Kind::CompositeType => "composite type",
            Kind::Operator => "operator",
            Kind::Collation => "collation",
            Kind::TextSearchDictionary => "text search dictionary",
            Kind::TextSearchConfiguration => "text search configuration",
            Kind::Extension => "extension",
            Kind::Schema => "schema",
        }
    }

    /// The kind of this word; `None` for one that a rehearsal does not drop.
    pub fn of_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// A row type is dropped as any other type.
    fn keyword(self) -> String {
        let kind = match self == Kind::CompositeType {
            true => Kind::Type,
            false => self,
        };
        kind.word().to_uppercase()
    }
}

/// Drops the objects of one kind that are listed, each written as `pg_identify_object` writes it (quoted, with its schema). Fails where an
/// object that is not listed depends on one. `None` where the list is empty.
pub fn drop_objects(kind: Kind, identities: &[String]) -> Option<String> {
    let (keyword, listed) = (kind.keyword(), identities.join(", "));
    (!identities.is_empty()).then(|| format!("DROP {keyword} IF EXISTS {listed} RESTRICT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_emptied_but_what_is_listed() {
        let table = |name: &str, is_partitioned| Emptied {
            table: Name::new("app", name),
            is_partitioned,
        };
        assert_eq!(truncate(&[]), None);
        assert_eq!(
            truncate(&[table("plain", false), table("pa\"rted", true)]).as_deref(),
            Some("TRUNCATE TABLE ONLY \"app\".\"plain\", \"app\".\"pa\"\"rted\" RESTRICT")
        );
    }

    #[test]
    fn what_depends_on_it_is_never_taken_along() {
        let name = Name::new("app", "x");
        for statement in [
            drop_index(&name),
            drop_constraint(&name, "k"),
            drop_trigger(&name, "t"),
            drop_objects(Kind::Table, &["app.x".to_owned()]).unwrap(),
            truncate(&[Emptied {
                table: name,
                is_partitioned: false,
            }])
            .unwrap(),
        ] {
            assert!(statement.ends_with(" RESTRICT"), "{statement}");
        }
    }

    #[test]
    fn a_word_and_its_kind_are_the_same() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of_word(kind.word()), Some(kind));
        }
        assert_eq!(Kind::of_word("subscription"), None);
    }

    #[test]
    #[should_panic(expected = "without a condition")]
    fn no_condition_is_no_statement() {
        delete_sqlite_rows("t", " ");
    }
}
