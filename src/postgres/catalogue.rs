//! The catalogue of one PostgreSQL schema: tables, columns with their types, constraints, indexes, triggers.
//!
//! Only reads. What to drop and how to put it back is `transfer`'s business; sequences are in [`super::sequences`]. Not in here: the questions to the server (`read`, `types`, [`around`]).

pub mod around;
mod read;
mod types;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one schema holds.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    pub schema: String,
    /// Everything with rows or the look of it, by name.
    pub tables: Vec<Table>,
    /// All sequences of the schema, by name.
    pub sequences: Vec<String>,
    /// Those of them that no column owns and no default asks.
    pub free_sequences: Vec<String>,
    /// Such sequences of other schemas, `schema.name`.
    pub free_elsewhere: Vec<String>,
    /// Columns that a sequence numbers as far as the server knows: the table's oid, the column's number.
    pub numbered: Vec<(u32, i16)>,
    /// The application's own functions, of all schemas.
    pub functions: Vec<Function>,
    /// Materialized views that read the schema's tables, in an order in which they can be refreshed.
    pub materialized: Vec<Materialized>,
    /// Other schemas with tables of an application's, and how many.
    pub elsewhere: Vec<(String, u64)>,
}

/// A function of the application's own.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its bare name.
    pub name: String,
    pub text: String,
    /// It may give another value each time.
    pub volatile: bool,
}

/// A relation.
#[derive(Debug, Clone)]
pub struct Table {
    /// `pg_class.oid`
    pub oid: u32,
    pub name: String,
    pub kind: RelationKind,
    /// Loses its rows when the server crashes.
    pub unlogged: bool,
    /// The connected role owns it, or is a member of its owner.
    pub owned: bool,
    /// Row-level security applies to the owner too.
    pub row_security_forced: bool,
    /// Has rules other than a view's; COPY does not fire them.
    pub rules: bool,
    /// Is a partition of another table.
    pub is_partition: bool,
    /// Has children by INHERITS, whose rows are their own.
    pub has_children: bool,
    /// What a row has to satisfy for each partition that holds rows itself; empty unless partitioned.
    pub partitions: Vec<String>,
    /// What single partitions ask of their rows beyond what the table asks.
    pub own_rules: Vec<PartitionRules>,
    /// What a row has to satisfy where the table is a partition itself.
    pub takes: Option<String>,
    /// Its partitions of all levels, by oid.
    pub parts: Vec<u32>,
    /// Columns by which the table is partitioned, by name; those in expressions are missing.
    pub partition_key: Vec<String>,
    /// Columns by position.
    pub columns: Vec<Column>,
    /// Constraints, foreign keys included.
    pub constraints: Vec<Constraint>,
    /// Indexes, those of constraints included.
    pub indexes: Vec<Index>,
    /// Triggers of the application's own.
    pub triggers: Vec<Trigger>,
}

/// What one partition asks of its rows and its table does not.
#[derive(Debug, Clone, Default)]
pub struct PartitionRules {
    pub name: String,
    /// Which rows it takes.
    pub takes: String,
    /// Columns that are NOT NULL there alone.
    pub not_null: Vec<String>,
    /// Its checks: name and expression.
    pub checks: Vec<(String, String)>,
    /// Its unique indexes.
    pub uniques: Vec<PartitionUnique>,
}

/// A unique index of one partition alone.
#[derive(Debug, Clone)]
pub struct PartitionUnique {
    pub name: String,
    /// Its keys as expressions.
    pub expressions: Vec<String>,
    /// Its WHERE clause.
    pub predicate: Option<String>,
    /// NULLs count as equal.
    pub nulls_not_distinct: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// An ordinary table.
    Table,
    Partitioned,
    /// A view, materialized or not.
    View,
    /// A foreign table.
    Foreign,
}

#[derive(Debug, Clone)]
pub struct Column {
    /// `pg_attribute.attnum`
    pub number: i16,
    pub name: String,
    pub ty: ColumnType,
    /// NOT NULL, by the column or by a domain.
    pub not_null: bool,
    /// Has a default, or is an identity.
    pub has_default: bool,
    /// The default, or what computes a generated column, as PostgreSQL shows it.
    pub expression: Option<String>,
    /// `ALWAYS` or `BY DEFAULT`.
    pub identity: Option<Identity>,
    /// Computed by the server.
    pub generated: bool,
    /// Its collation, qualified, where it is not its type's own.
    pub collation: Option<String>,
    /// Compares by something other than bytes where it must be unique: `citext`, a nondeterministic collation.
    pub folds: bool,
    /// Of letters it takes only those of ASCII for equal: `citext` in a database whose character type is C.
    pub folds_ascii: bool,
}

/// Kinds of identity columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// `GENERATED ALWAYS`
    Always,
    /// `GENERATED BY DEFAULT`
    ByDefault,
}

/// A column's type with domains looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnType {
    /// As PostgreSQL shows it, domains by their own name.
    pub shown: String,
    /// `pg_attribute.atttypid`
    pub oid: u32,
    /// `pg_attribute.atttypmod`
    pub typmod: i32,
    /// The type below all domains.
    pub base: BaseType,
    /// Its modifier.
    pub base_typmod: i32,
    /// That type as PostgreSQL shows it.
    pub base_shown: String,
    /// Checks of the domains, as expressions over VALUE.
    pub domain_checks: Vec<DomainCheck>,
}

/// One check of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainCheck {
    /// The constraint's name.
    pub name: String,
    /// An expression over VALUE.
    pub expression: String,
}

/// A type that is no domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseType {
    /// A type of its own.
    Named {
        schema: String,
        /// `pg_type.typname`
        name: String,
    },
    Enum {
        labels: Vec<String>,
    },
    Array {
        element: Box<BaseType>,
        element_oid: u32,
    },
    /// A composite, a range, a pseudo-type, an array of domains.
    Other,
}

/// A constraint. Serialized where an import records what it takes away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Constraint {
    pub name: String,
    pub kind: ConstraintKind,
    /// As `pg_get_constraintdef` shows it.
    pub definition: String,
    /// Its columns by name.
    pub columns: Vec<String>,
    /// The table a foreign key refers to: its oid, schema and name.
    pub references: Option<(u32, String, String)>,
    /// The columns that a foreign key refers to, by name.
    pub referenced_columns: Vec<String>,
    /// Whether PostgreSQL vouches for all rows.
    pub validated: bool,
    /// Inherited from a partitioned table.
    pub inherited: bool,
    /// A check's expression over the table's columns.
    pub expression: Option<String>,
    /// An exclusion's operators, one per element, qualified.
    #[serde(default)]
    pub operators: Vec<String>,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConstraintKind {
    Primary,
    Unique,
    Foreign,
    Check,
    Exclusion,
    /// NOT NULL (a constraint of its own since PostgreSQL 18), and constraint triggers.
    Other,
}

/// An index. Serialized where an import records what it takes away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Index {
    /// `pg_class.oid`
    pub oid: u32,
    pub name: String,
    /// As `pg_get_indexdef` shows it.
    pub definition: String,
    /// Enforces uniqueness.
    pub unique: bool,
    pub valid: bool,
    /// The constraint it serves.
    pub constraint: Option<String>,
    /// Its key columns by name; None for an expression.
    pub columns: Vec<Option<String>>,
    /// Its key columns as expressions, with the collation where it is the index's own.
    pub expressions: Vec<String>,
    /// Its WHERE clause.
    pub predicate: Option<String>,
    /// All columns that it reads, those in expressions and in its WHERE clause too, by name.
    #[serde(default)]
    pub reads: Vec<String>,
    /// It calls functions that are not PostgreSQL's own.
    #[serde(default)]
    pub calls_functions: bool,
    /// A key is compared by something other than its bytes: a nondeterministic collation, the index's own or its column's.
    #[serde(default)]
    pub folds: bool,
    /// NULLs count as equal.
    pub nulls_not_distinct: bool,
    /// Belongs to an index of a partitioned table, or is one.
    pub partitioned: bool,
    /// The table is marked to be clustered by it.
    pub clustered: bool,
    /// It is the replica identity.
    pub replica_identity: bool,
    /// Its tablespace where it is not the database's.
    pub tablespace: Option<String>,
    pub comment: Option<String>,
    /// Statistics targets that were set, by column number within the index.
    pub statistics: Vec<(i16, i16)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    pub name: String,
    /// `tgenabled`: O, D, R or A.
    pub enabled: char,
    /// Runs for each row before it is inserted, and may change it.
    pub before_insert: bool,
    /// Some INSERT makes it run, before or after it, for each row or once.
    pub on_insert: bool,
    /// The text of its function.
    pub body: String,
    /// Came with the trigger of a partitioned table.
    pub inherited: bool,
    /// Another table of the schema has one of this name.
    pub shared: bool,
}

impl Trigger {
    /// Whether it gives this column a value before a row is inserted, as far as its text tells.
    pub fn fills(&self, column: &str) -> bool {
        let (body, name) = (self.body.to_lowercase(), column.to_lowercase());
        let sets = |new: String| {
            let assigned = body.match_indices(&new).any(|(at, _)| {
                let rest = body[at + new.len()..].trim_start();
                rest.starts_with(":=") || rest.starts_with('=')
            });
            assigned || body.contains(&format!("into {new}"))
        };
        let runs = self.before_insert && matches!(self.enabled, 'O' | 'A');
        runs && (sets(format!("new.{name}")) || sets(format!("new.\"{name}\"")))
    }
}

/// A materialized view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Materialized {
    /// Schema and name, quoted.
    pub name: String,
    /// Was filled once.
    pub populated: bool,
    /// The relations that it reads, by oid, also through other views.
    pub reads: Vec<u32>,
    /// The connected role may refresh it.
    pub owned: bool,
}

impl Catalogue {
    /// A relation by name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
