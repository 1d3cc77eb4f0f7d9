//! What is in the way of a load: triggers, foreign keys, indexes, keys. Which of it goes, and the SQL that takes it away and puts it
//! back exactly as it was. Pure; running the SQL is [`super::rebuild`]'s and [`super::prepare`]'s business.

use crate::ours::statements::{self, Name};
use crate::postgres::catalogue::{Constraint, ConstraintKind, Index, RelationKind, Table, Trigger};
use crate::postgres::quoted;
use crate::transfer::copy::record::{Definition, DefinitionKind, DefinitionState, Described};
use crate::transfer::layout::fire::fires;
use crate::transfer::session::literal;

/// From this many rows on, building an index afterwards beats maintaining it row by row.
pub const LARGE_TABLE_ROWS: u64 = 20_000;

/// A foreign key together with the tables at its ends.
#[derive(Debug, Clone)]
pub struct ForeignKey {
    /// Schema of the table it is on.
    pub schema: String,
    pub table: String,
    pub table_oid: u32,
    /// The table it refers to.
    pub references_oid: u32,
    pub name: String,
    pub definition: String,
    pub comment: Option<String>,
    /// One of the tables is partitioned, which rules out `NOT VALID`.
    pub partitioned: bool,
}

/// The triggers of one table that must not run during the load; those in `fire` may. A trigger of a partition is also named by its table.
fn triggers(
    schema: &str,
    table: &Table,
    whole: Option<&Table>,
    fire: &[String],
    all: &mut Vec<Definition>,
) {
    let rests = |trigger: &&Trigger| {
        let of = |table: &Table| fires(fire, &table.name, &trigger.name);
        !(of(table) || trigger.inherited && whole.is_some_and(of))
    };
    for trigger in table.triggers.iter().filter(rests) {
        // R fires on replicas only, D never.
        let put_back = match trigger.enabled {
            'O' => "ENABLE",
            'A' => "ENABLE ALWAYS",
            _ => continue,
        };
        let trigger_name = quoted(&trigger.name);
        let alter = format!("ALTER TABLE ONLY {}", qualified(schema, &table.name));
        let away = format!("{alter} DISABLE TRIGGER {trigger_name}");
        let back = format!("{alter} {put_back} TRIGGER {trigger_name}");
        let kind = DefinitionKind::Trigger;
        all.push(definition(kind, table, &trigger.name, away, back));
    }
}

/// Everything to take away: foreign keys before the keys they hang on. The triggers in `fire` stay. So does an index that calls functions
/// of the application's: from PostgreSQL 17 on an index is built with a search path in which what they name without a schema is missing.
pub fn collect(
    schema: &str,
    tables: &[(&Table, u64)],
    parts: &[Table],
    foreign_keys: &[ForeignKey],
    fire: &[String],
) -> Vec<Definition> {
    let mut all = Vec::new();
    for part in parts {
        let mut wholes = tables.iter().map(|(table, _)| *table);
        let whole = wholes.find(|table| table.parts.contains(&part.oid));
        triggers(schema, part, whole, fire, &mut all);
    }
    for (table, _) in tables {
        let name = qualified(schema, &table.name);
        triggers(schema, table, None, fire, &mut all);
        if table.row_security_forced {
            let away = format!("ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY");
            let back = format!("ALTER TABLE {name} FORCE ROW LEVEL SECURITY");
            all.push(definition(
                DefinitionKind::RowSecurity,
                table,
                &table.name,
                away,
                back,
            ));
        }
    }
    all.extend(foreign_keys.iter().map(|key| Definition {
        described: described_key(key, tables),
        ..foreign_key(key)
    }));
    for (table, rows) in tables {
        if *rows >= LARGE_TABLE_ROWS && table.kind == RelationKind::Table && !table.is_partition {
            all.extend(
                table
                    .indexes
                    .iter()
                    .filter(|index| index.valid && !index.partitioned && !index.calls_functions)
                    .filter_map(|index| of_index(schema, table, index)),
            );
        }
    }
    all
}

/// What is to be taken away, together with what an unfinished import has away already or has put back without its proof: that comes
/// back as it was recorded then. A foreign key that somebody has put back since goes like everything else. In the order of being taken away:
/// foreign keys before the keys they hang on.
pub fn with_open(collected: Vec<Definition>, open: Vec<Definition>) -> Vec<Definition> {
    let same = |one: &Definition, other: &Definition| {
        (one.kind, one.table_oid, &one.name) == (other.kind, other.table_oid, &other.name)
    };
    let (known, mut all): (Vec<Definition>, Vec<Definition>) = collected
        .into_iter()
        .partition(|definition| open.iter().any(|known| same(known, definition)));
    // Keys and indexes that are away are collected as if they were there; foreign keys are read from the catalogue.
    let is_back = |definition: &Definition| {
        definition.kind == DefinitionKind::Foreign
            && known.iter().any(|there| same(there, definition))
    };
    all.extend(open.into_iter().map(|definition| Definition {
        state: match definition.state {
            DefinitionState::Away if !is_back(&definition) => DefinitionState::Away,
            // It is in force, and goes like everything else.
            DefinitionState::Away
            | DefinitionState::Unproven
            | DefinitionState::Recorded
            | DefinitionState::Kept
            | DefinitionState::Back => DefinitionState::Recorded,
        },
        ..definition
    }));
    all.sort_by_key(|definition| match definition.kind {
        DefinitionKind::Trigger => 0,
        DefinitionKind::RowSecurity => 1,
        DefinitionKind::Foreign => 2,
        DefinitionKind::Key | DefinitionKind::Index => 3,
    });
    for (number, definition) in all.iter_mut().enumerate() {
        definition.number = number as i32;
    }
    all
}

/// What the catalogue says of a foreign key; nothing of one on a table that is not planned.
fn described_key(key: &ForeignKey, tables: &[(&Table, u64)]) -> Described {
    let table = tables.iter().find(|(table, _)| table.oid == key.table_oid);
    let constraints = table.into_iter().flat_map(|(table, _)| &table.constraints);
    Described {
        constraint: constraints
            .into_iter()
            .find(|constraint| constraint.name == key.name)
            .cloned(),
        index: None,
    }
}

fn definition(
    kind: DefinitionKind,
    table: &Table,
    name: &str,
    take_away: String,
    put_back: String,
) -> Definition {
    Definition {
        number: 0,
        kind,
        table_oid: table.oid,
        table: table.name.clone(),
        other_oid: None,
        name: name.to_owned(),
        take_away,
        put_back,
        prove: None,
        described: Described::default(),
        state: DefinitionState::Recorded,
    }
}

fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(name))
}

fn foreign_key(key: &ForeignKey) -> Definition {
    let table = qualified(&key.schema, &key.table);
    let name = quoted(&key.name);
    // Adding and proving apart needs weaker locks, so that several can be proven at the same time.
    let apart = !key.partitioned
        && !key.definition.ends_with("NOT VALID")
        && !key.definition.contains(" NOT ENFORCED");
    let suffix = if apart { " NOT VALID" } else { "" };
    let mut put_back = format!(
        "ALTER TABLE {table} ADD CONSTRAINT {name} {}{suffix}",
        key.definition
    );
    push_comment(
        &mut put_back,
        &format!("CONSTRAINT {name} ON {table}"),
        key.comment.as_deref(),
    );
    Definition {
        number: 0,
        kind: DefinitionKind::Foreign,
        table_oid: key.table_oid,
        table: key.table.clone(),
        other_oid: Some(key.references_oid),
        name: key.name.clone(),
        take_away: statements::drop_constraint(&Name::new(&key.schema, &key.table), &key.name),
        put_back,
        described: Described::default(),
        prove: apart.then(|| format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}")),
        state: DefinitionState::Recorded,
    }
}

fn of_index(schema: &str, table: &Table, index: &Index) -> Option<Definition> {
    let constraint = index.constraint.as_ref().map(|name| {
        table
            .constraints
            .iter()
            .find(|constraint| constraint.name == *name)
    });
    let mut put_back = String::new();
    if let Some(tablespace) = &index.tablespace {
        put_back.push_str(&format!(
            "SET LOCAL default_tablespace = {};\n",
            literal(tablespace)
        ));
    }
    put_back.push_str(&index.definition);
    match constraint {
        None => {
            push_marks(&mut put_back, schema, table, index);
            let take_away = statements::drop_index(&Name::new(schema, &index.name));
            let kind = DefinitionKind::Index;
            Some(Definition {
                described: Described {
                    constraint: None,
                    index: Some(index.clone()),
                },
                ..definition(kind, table, &index.name, take_away, put_back)
            })
        }
        Some(constraint) => {
            let constraint = constraint.filter(|constraint| is_plain_key(constraint, index))?;
            let (name, relation) = (quoted(&constraint.name), qualified(schema, &table.name));
            let kind = if constraint.kind == ConstraintKind::Primary {
                "PRIMARY KEY"
            } else {
                "UNIQUE"
            };
            let deferral = deferral(&constraint.definition);
            put_back.push_str(&format!(
                ";\nALTER TABLE {relation} ADD CONSTRAINT {name} {kind} USING INDEX {}{deferral}",
                quoted(&index.name)
            ));
            push_marks(&mut put_back, schema, table, index);
            push_comment(
                &mut put_back,
                &format!("CONSTRAINT {name} ON {relation}"),
                constraint.comment.as_deref(),
            );
            let take_away =
                statements::drop_constraint(&Name::new(schema, &table.name), &constraint.name);
            let kind = DefinitionKind::Key;
            Some(Definition {
                described: Described {
                    constraint: Some(constraint.clone()),
                    index: Some(index.clone()),
                },
                ..definition(kind, table, &constraint.name, take_away, put_back)
            })
        }
    }
}

/// Whether the constraint comes back whole from its index: a btree, not an exclusion, not over periods.
fn is_plain_key(constraint: &Constraint, index: &Index) -> bool {
    matches!(
        constraint.kind,
        ConstraintKind::Primary | ConstraintKind::Unique
    ) && !constraint.inherited
        && index.definition.contains(" USING btree ")
        && !constraint.definition.contains("WITHOUT OVERLAPS")
}

fn deferral(definition: &str) -> &'static str {
    if definition.ends_with(" DEFERRABLE INITIALLY DEFERRED") {
        " DEFERRABLE INITIALLY DEFERRED"
    } else if definition.ends_with(" DEFERRABLE") {
        " DEFERRABLE"
    } else {
        ""
    }
}

/// What an index carries beside its definition.
fn push_marks(sql: &mut String, schema: &str, table: &Table, index: &Index) {
    let (name, relation) = (
        qualified(schema, &index.name),
        qualified(schema, &table.name),
    );
    for (column, target) in &index.statistics {
        sql.push_str(&format!(
            ";\nALTER INDEX {name} ALTER COLUMN {column} SET STATISTICS {target}"
        ));
    }
    if index.clustered {
        sql.push_str(&format!(
            ";\nALTER TABLE {relation} CLUSTER ON {}",
            quoted(&index.name)
        ));
    }
    if index.replica_identity {
        sql.push_str(&format!(
            ";\nALTER TABLE {relation} REPLICA IDENTITY USING INDEX {}",
            quoted(&index.name)
        ));
    }
    push_comment(sql, &format!("INDEX {name}"), index.comment.as_deref());
}

fn push_comment(sql: &mut String, on: &str, comment: Option<&str>) {
    if let Some(comment) = comment {
        sql.push_str(&format!(";\nCOMMENT ON {on} IS {}", literal(comment)));
    }
}
