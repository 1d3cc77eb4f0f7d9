//! Triggers of a SQLite file: on what they fire, and which tables they write. Told by their statements, for SQLite itself says no more than that
//! they are there. Not in here: what follows from it.

use rusqlite::Connection;

use super::checks::{name, tokens};

/// What a trigger fires on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fires {
    Insert,
    /// UPDATE, of whichever columns.
    Update,
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    pub name: String,
    /// The table or view that it is on.
    pub table: String,
    /// What it fires on; `None` where its statement does not say so in words that are known.
    pub fires: Option<Fires>,
    /// The tables that it writes, as its statement names them.
    pub writes: Vec<String>,
}

/// All triggers of the file.
pub fn read(connection: &Connection) -> rusqlite::Result<Vec<Trigger>> {
    let sql =
        "SELECT name, tbl_name, sql FROM main.sqlite_schema WHERE type = 'trigger' ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let text = |at: usize| -> rusqlite::Result<String> {
            let bytes = row.get_ref(at)?.as_bytes().unwrap_or_default();
            Ok(String::from_utf8_lossy(bytes).into_owned())
        };
        Ok((text(0)?, text(1)?, text(2)?))
    })?;
    let mut triggers = Vec::new();
    for row in rows {
        let (name, table, sql) = row?;
        triggers.push(told(name, table, &sql));
    }
    Ok(triggers)
}

fn told(name: String, table: String, sql: &str) -> Trigger {
    let tokens: Vec<&str> = tokens(sql).into_iter().map(|(_, token)| token).collect();
    let begin = tokens.iter().position(|token| is(token, "begin"));
    let (head, body) = tokens.split_at(begin.unwrap_or(tokens.len()));
    let fires = head.iter().find_map(|token| match () {
        () if is(token, "insert") => Some(Fires::Insert),
        () if is(token, "update") => Some(Fires::Update),
        () if is(token, "delete") => Some(Fires::Delete),
        () => None,
    });
    Trigger {
        name,
        table,
        fires,
        writes: written(body),
    }
}

/// Whether a token is this word, and no name between quotes.
fn is(token: &str, word: &str) -> bool {
    token.eq_ignore_ascii_case(word)
}

/// The tables behind `INTO`, `UPDATE` and `DELETE FROM`.
fn written(body: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (at, token) in body.iter().enumerate() {
        let next = |places: usize| body.get(at + places).copied().unwrap_or_default();
        let place = match () {
            () if is(token, "into") => 1,
            () if is(token, "delete") && is(next(1), "from") => 2,
            () if is(token, "update") && is(next(1), "or") => 3,
            // `ON CONFLICT DO UPDATE SET` goes on with a table that was named before.
            () if is(token, "update") && !is(next(1), "set") => 1,
            () => continue,
        };
        let place = match next(place + 1) {
            "." => place + 2,
            _ => place,
        };
        let table = name(next(place));
        let known = |table: &String| found.iter().any(|one| is(one, table));
        if let Some(table) = table.filter(|table| !known(table)) {
            found.push(table);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_trigger_fires_on_and_writes_is_told_by_its_statement() {
        let connection = Connection::open_in_memory().expect("memory");
        connection
            .execute_batch(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, \"insert\"); CREATE TABLE \"a log\" (x, n, UNIQUE (x)); CREATE TABLE u (x);
                 CREATE TRIGGER a AFTER UPDATE OF \"insert\" ON t WHEN new.id > 1 BEGIN
                     -- INSERT INTO nothing
                     INSERT INTO \"a log\" VALUES ('DELETE FROM u', 1) ON CONFLICT (x) DO UPDATE SET n = n + 1;
                     UPDATE OR IGNORE u SET x = 1; DELETE FROM u WHERE x = 2; END;
                 CREATE TRIGGER b BEFORE DELETE ON t BEGIN SELECT raise(ABORT, 'no') WHERE old.id = 1; END;
                 CREATE TRIGGER c INSERT ON t BEGIN REPLACE INTO u VALUES (1); END;",
            )
            .expect("triggers");
        let triggers = read(&connection).expect("they are read");
        let told: Vec<_> = triggers
            .iter()
            .map(|one| (one.fires, one.writes.join("+")))
            .collect();
        assert_eq!(
            told,
            [
                (Some(Fires::Update), "a log+u".to_owned()),
                (Some(Fires::Delete), String::new()),
                (Some(Fires::Insert), "u".to_owned())
            ]
        );
    }
}
