//! The SQL of the capture as pure text: its tables, and the function and the triggers of one moved table. Nothing is run in here, and
//! the catalogue is not asked.

use super::{Captured, DELETE, INSERT, TRUNCATE, UPDATE};
use crate::ours::statements::Name;
use crate::postgres::{literal, quoted};

/// Makes the tables. A publication of all tables would refuse to let rows of one without a replica identity be deleted.
pub(super) const MAKE: &str = "
    CREATE TABLE IF NOT EXISTS cutover.feed_notes (
      xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(), number integer NOT NULL, operation text NOT NULL, before text[], after text[])
      WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
    ALTER TABLE cutover.feed_notes REPLICA IDENTITY FULL;
    COMMENT ON TABLE cutover.feed_notes IS 'Keys that were written since the switch, for a rollback of the cutover session. Goes with it.';
    CREATE TABLE IF NOT EXISTS cutover.feed_tables (
      session text NOT NULL, number integer NOT NULL, relation oid NOT NULL, name text NOT NULL, shape text NOT NULL,
      PRIMARY KEY (number, relation));
    COMMENT ON TABLE cutover.feed_tables IS 'The tables of which cutover.feed_notes has keys, as they were at the switch.'";

/// Whatever the writer's settings are, keys read alike, and no object of the writer's is taken for one of the system's.
const PINNED: &str = "SET search_path = pg_catalog, pg_temp SET \"DateStyle\" = 'ISO, YMD' SET \"TimeZone\" = 'UTC' \
     SET \"IntervalStyle\" = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex' SET lc_monetary = 'C' \
     SET quote_all_identifiers = off";

/// Where somebody drops the notes with all that depends on them, our triggers go too: without them every write would fail. Where the rest is to
/// stay, PostgreSQL refuses.
const WHILE_NOTES_ARE_THERE: &str = "WHEN ('cutover.feed_notes'::pg_catalog.regclass IS NOT NULL)";

/// What the names of our triggers begin with.
pub(super) const PREFIX: &str = "cutover_feed_";

/// What a trigger of ours hears of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hears {
    /// Statements that insert.
    Insert,
    /// Statements that update.
    Update,
    /// Statements that delete.
    Delete,
    Truncate,
    /// Each row that is inserted, updated or deleted.
    Rows,
}

impl Hears {
    fn word(self) -> &'static str {
        match self {
            Hears::Insert => "insert",
            Hears::Update => "update",
            Hears::Delete => "delete",
            Hears::Truncate => "truncate",
            Hears::Rows => "rows",
        }
    }

    /// `pg_trigger.tgtype` of such a trigger.
    pub(super) fn bits(self) -> i32 {
        match self {
            Hears::Insert => 4,
            Hears::Update => 16,
            Hears::Delete => 8,
            Hears::Truncate => 32,
            Hears::Rows => 1 | 4 | 8 | 16,
        }
    }

    fn events(self) -> &'static str {
        match self {
            Hears::Insert => "INSERT",
            Hears::Update => "UPDATE",
            Hears::Delete => "DELETE",
            Hears::Truncate => "TRUNCATE",
            Hears::Rows => "INSERT OR UPDATE OR DELETE",
        }
    }

    /// How often it fires, and what of the rows it is shown.
    fn shown(self) -> &'static str {
        match self {
            Hears::Insert => "REFERENCING NEW TABLE AS cutover_new FOR EACH STATEMENT",
            Hears::Update => {
                "REFERENCING OLD TABLE AS cutover_old NEW TABLE AS cutover_new FOR EACH STATEMENT"
            }
            Hears::Delete => "REFERENCING OLD TABLE AS cutover_old FOR EACH STATEMENT",
            Hears::Truncate => "FOR EACH STATEMENT",
            Hears::Rows => "FOR EACH ROW",
        }
    }
}

/// The name of a trigger. A partition has its own beside those that come from the whole, so the number is in it.
pub(super) fn trigger_name(number: i32, hears: Hears) -> String {
    format!("{PREFIX}{number}_{}", hears.word())
}

/// The function's name in the schema `cutover`.
pub(super) fn function_name(number: i32) -> String {
    format!("feed_{number}")
}

/// Makes a trigger on a table. With `and_parts` its copies on the table's partitions are meant too.
pub(super) fn create_trigger(number: i32, hears: Hears, table: &Name, and_parts: bool) -> String {
    let (name, table) = (quoted(&trigger_name(number, hears)), table.quoted());
    let (events, shown) = (hears.events(), hears.shown());
    let function = quoted(&function_name(number));
    let only = if and_parts { "" } else { "ONLY " };
    format!(
        "CREATE TRIGGER {name} AFTER {events} ON {table} {shown} {WHILE_NOTES_ARE_THERE} EXECUTE FUNCTION cutover.{function}(); \
         ALTER TABLE {only}{table} ENABLE ALWAYS TRIGGER {name}"
    )
}

/// Makes the function of a table, or replaces it.
pub(super) fn create_function(table: &Captured, how: &Noting) -> String {
    let name = quoted(&function_name(table.number));
    let body = literal(&body(table, how));
    format!(
        "CREATE OR REPLACE FUNCTION cutover.{name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {PINNED} AS {body}; \
         REVOKE ALL ON FUNCTION cutover.{name}() FROM PUBLIC"
    )
}

/// Makes a function of ours, by its name, one that does nothing.
pub(super) fn idle_function(name: &str) -> String {
    let name = quoted(name);
    format!(
        "CREATE OR REPLACE FUNCTION cutover.{name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    )
}

/// How a table's function comes to the keys.
#[derive(Debug)]
pub(super) enum Noting {
    /// From the rows of a statement.
    ByStatement,
    /// From one row after the other.
    ByRow {
        /// The types of the key's columns, by their oids, in the key's order.
        key_types: Vec<u32>,
    },
}

/// What the function of a table does. No write may fail for it: where a column of the key is not in the table any more, or (by row) has
/// another type, the note is one without keys.
pub(super) fn body(table: &Captured, how: &Noting) -> String {
    let number = table.number;
    let into = "INSERT INTO cutover.feed_notes (number, operation, before, after)";
    let [insert, update, delete] = match (how, table.key.is_empty()) {
        (Noting::ByRow { .. }, _) => of_rows(table),
        (Noting::ByStatement, false) => of_statements(table),
        (Noting::ByStatement, true) => of_statements_without_key(number),
    };
    let without_key = match (how, table.key.is_empty()) {
        (Noting::ByRow { key_types }, false) => format!(
            "IF TG_OP <> 'TRUNCATE' AND {} THEN
    {into} VALUES ({number}, lower(left(TG_OP, 1)), NULL, NULL);
  ELSIF",
            is_changed(&table.key, key_types)
        ),
        (Noting::ByRow { .. }, true) | (Noting::ByStatement, _) => "IF".to_owned(),
    };
    format!(
        "
#variable_conflict use_column
BEGIN
  {without_key} TG_OP = 'INSERT' THEN
    {into} {insert};
  ELSIF TG_OP = 'UPDATE' THEN
    {into} {update};
  ELSIF TG_OP = 'DELETE' THEN
    {into} {delete};
  ELSE
    {into} VALUES ({number}, '{TRUNCATE}', NULL, NULL);
  END IF;
  RETURN NULL;
END
"
    )
}

/// Whether the row's table has a column of the key otherwise than at the switch. A function that has run once in a session knows the types of
/// a row's columns, and fails on others.
fn is_changed(key: &[String], types: &[u32]) -> String {
    let columns = key.iter().zip(types);
    let columns = columns.map(|(column, oid)| format!("({}, '{oid}')", literal(column)));
    let columns: Vec<String> = columns.collect();
    format!(
        "(SELECT count(*) FROM pg_attribute a WHERE a.attrelid = TG_RELID AND NOT a.attisdropped AND (a.attname, a.atttypid) IN ({})) <> {}",
        columns.join(", "),
        key.len()
    )
}

fn of_rows(table: &Captured) -> [String; 3] {
    let number = table.number;
    let key_in = |row: &str| {
        let columns = table
            .key
            .iter()
            .map(|column| format!("{row}.{}", quoted(column)));
        key_of(columns)
    };
    let (old, new) = (key_in("OLD"), key_in("NEW"));
    [
        format!("VALUES ({number}, '{INSERT}', NULL, {new})"),
        format!("VALUES ({number}, '{UPDATE}', {old}, {new})"),
        format!("VALUES ({number}, '{DELETE}', {old}, NULL)"),
    ]
}

fn of_statements(table: &Captured) -> [String; 3] {
    let number = table.number;
    let (old, new) = (
        keys_in("cutover_old", &table.key),
        keys_in("cutover_new", &table.key),
    );
    // The two have no common order. Most updates leave every key as it was, and then each is noted once.
    let both = format!("({old}) o FULL JOIN ({new}) n ON o.key = n.key");
    [
        format!("SELECT {number}, '{INSERT}', NULL, n.key FROM ({new}) n"),
        format!("SELECT {number}, '{UPDATE}', o.key, n.key FROM {both}"),
        format!("SELECT {number}, '{DELETE}', o.key, NULL FROM ({old}) o"),
    ]
}

/// The keys of a statement's rows. A name that is none of the rows' columns is looked for farther out, and found there with a type that no key
/// has: no key then.
fn keys_in(rows: &str, key: &[String]) -> String {
    let columns: Vec<String> = key.iter().map(|column| quoted(column)).collect();
    let is_there: Vec<String> = columns
        .iter()
        .map(|column| format!("pg_typeof({column}) <> 'pg_lsn'::regtype"))
        .collect();
    let nothing = vec!["NULL::pg_lsn"; columns.len()].join(", ");
    let (named, is_there) = (columns.join(", "), is_there.join(" AND "));
    let key = key_of(columns.into_iter());
    format!(
        "SELECT r.key FROM (SELECT {nothing}) AS absent ({named}) CROSS JOIN LATERAL (SELECT CASE WHEN {is_there} THEN {key} END AS key FROM {rows}) r"
    )
}

fn of_statements_without_key(number: i32) -> [String; 3] {
    [
        (INSERT, "cutover_new"),
        (UPDATE, "cutover_new"),
        (DELETE, "cutover_old"),
    ]
    .map(|(letter, rows)| {
        format!("SELECT {number}, '{letter}', NULL, NULL WHERE EXISTS (SELECT FROM {rows})")
    })
}

/// The key of a row, whose columns these are, as an array of texts, compared by their bytes; `NULL` where the table has no key.
fn key_of(columns: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = columns
        .map(|column| format!("{column}::text COLLATE \"C\""))
        .collect();
    match texts.is_empty() {
        true => "NULL".to_owned(),
        false => format!("ARRAY[{}]", texts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(key: &[&str]) -> Captured {
        Captured {
            number: 7,
            schema: "app".to_owned(),
            table: "too\"ls".to_owned(),
            key: key.iter().map(|&column| column.to_owned()).collect(),
        }
    }

    #[test]
    fn a_trigger_is_on_its_table_alone_unless_its_parts_are_meant() {
        let name = table(&[]).name();
        assert_eq!(
            create_trigger(7, Hears::Update, &name, false),
            "CREATE TRIGGER \"cutover_feed_7_update\" AFTER UPDATE ON \"app\".\"too\"\"ls\" REFERENCING OLD TABLE AS cutover_old NEW TABLE \
             AS cutover_new FOR EACH STATEMENT WHEN ('cutover.feed_notes'::pg_catalog.regclass IS NOT NULL) EXECUTE FUNCTION \
             cutover.\"feed_7\"(); ALTER TABLE ONLY \"app\".\"too\"\"ls\" ENABLE ALWAYS TRIGGER \"cutover_feed_7_update\""
        );
        let with_parts = create_trigger(7, Hears::Rows, &name, true);
        let says = |part: &str| assert!(with_parts.contains(part), "{with_parts}");
        says("ALTER TABLE \"app\"");
        says("AFTER INSERT OR UPDATE OR DELETE");
    }

    #[test]
    fn a_key_is_every_column_of_it_whatever_its_name() {
        let body = body(&table(&["Id", "a\"b"]), &Noting::ByStatement);
        let key = "ARRAY[\"Id\"::text COLLATE \"C\", \"a\"\"b\"::text COLLATE \"C\"] END AS key FROM cutover_new";
        assert!(body.contains(key), "{body}");
        // A name may hold whatever ends a text in SQL.
        let by_row = Noting::ByRow {
            key_types: vec![20, 25, 1043],
        };
        let function = create_function(&table(&["it's", "a\\b", "$$"]), &by_row);
        for part in [
            "AS  E'",
            "NEW.\"it''s\"",
            "(''$$'', ''1043'')",
            "NEW.\"a\\\\b\"",
            "SECURITY DEFINER SET search_path = pg_catalog, pg_temp",
        ] {
            assert!(function.contains(part), "{function}");
        }
    }

    #[test]
    fn a_table_without_a_key_is_noted_once_a_statement_and_only_where_rows_were_written() {
        let body = body(&table(&[]), &Noting::ByStatement);
        let delete = "SELECT 7, 'd', NULL, NULL WHERE EXISTS (SELECT FROM cutover_old)";
        assert!(body.contains(delete) && !body.contains("ARRAY"), "{body}");
    }
}
