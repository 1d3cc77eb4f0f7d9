//! The statements that `plan` prints for the source, run on copies of it: none may turn a value into NULL, and a case says what else they may do.

use std::collections::BTreeSet;

use regex::Regex;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{Value, ValueRef};

/// Runs each statement on a copy of its own.
pub fn hold(source: &str, said: &str) -> Result<(), String> {
    for statement in statements(said) {
        let connection = copy(source)?;
        let before = nulls(&connection, &statement)?;
        run(&connection, &statement)?;
        let after = nulls(&connection, &statement)?;
        if after > before {
            return Err(format!("{before} NULLs become {after} by: {statement}"));
        }
    }
    Ok(())
}

/// Runs all statements on one copy, and gives what a query of one text then returns, a line per row.
pub fn mended(source: &str, said: &str, query: &str) -> Result<String, String> {
    let connection = copy(source)?;
    for statement in statements(said) {
        run(&connection, &statement)?;
    }
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare(query)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.collect()
    };
    read()
        .map(|lines| lines.join("\n"))
        .map_err(|e| e.to_string())
}

/// Those that are whole: where people have to fill something in, there are dots.
fn statements(said: &str) -> BTreeSet<String> {
    let form = Regex::new(r#"UPDATE "[^…\n]*? in (?:the source|SQLite's own shell)"#);
    let form = form.expect("a pattern");
    let whole = form.find_iter(said).map(|found| {
        let (statement, _) = found.as_str().rsplit_once(" in ").expect("where it runs");
        statement.to_owned()
    });
    whole.collect()
}

fn run(connection: &Connection, statement: &str) -> Result<(), String> {
    let done = connection.execute(statement, []);
    done.map(|_rows| ())
        .map_err(|e| format!("{e}: {statement}"))
}

/// NULLs in the column that a statement changes.
fn nulls(connection: &Connection, statement: &str) -> Result<i64, String> {
    let form = Regex::new(r#"^UPDATE ("(?:[^"]|"")*") SET ("(?:[^"]|"")*") = "#);
    let parts = form.expect("a pattern").captures(statement);
    let parts = parts.ok_or_else(|| format!("no table and column: {statement}"))?;
    let count = format!(
        "SELECT count(*) FROM {} WHERE {} IS NULL",
        &parts[1], &parts[2]
    );
    let count = connection.query_row(&count, [], |row| row.get(0));
    count.map_err(|e| format!("{e}: {statement}"))
}

/// The source as it is before the night, with the function that SQLite's shell has in addition.
fn copy(source: &str) -> Result<Connection, String> {
    let make = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_in_memory()?;
        connection.pragma_update(None, "foreign_keys", false)?;
        connection.execute_batch(source)?;
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        connection.create_scalar_function("base64", 1, flags, |context| {
            match context.get_raw(0) {
                ValueRef::Null => Ok(Value::Null),
                ValueRef::Text(text) => Ok(Value::Blob(decoded(text))),
                ValueRef::Blob(bytes) => Ok(Value::Text(encoded(bytes))),
                ValueRef::Integer(_) | ValueRef::Real(_) => Err(
                    rusqlite::Error::UserFunctionError("base64 accepts only blob or text".into()),
                ),
            }
        })?;
        Ok(connection)
    };
    make().map_err(|e| format!("a copy of the source: {e}"))
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// As the shell reads: what is no digit is passed over between groups of four, and ends the text within one.
fn decoded(text: &[u8]) -> Vec<u8> {
    let value = |byte: &u8| {
        let place = DIGITS.iter().position(|digit| digit == byte)?;
        u32::try_from(place).ok()
    };
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.iter().position(|byte| value(byte).is_some()) {
        let group: Vec<u32> = rest[start..].iter().take(4).map_while(value).collect();
        let bits = group.iter().fold(0_u32, |bits, value| (bits << 6) | value);
        let bits = bits << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
        if group.len() < 4 {
            break;
        }
        rest = &rest[start + 4..];
    }
    bytes
}

/// As the shell writes: lines of 72 signs.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(54) {
        for group in line.chunks(3) {
            let mut three = [0; 3];
            three[..group.len()].copy_from_slice(group);
            let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            for place in 0..4 {
                let digit = DIGITS[((bits >> (18 - 6 * place)) & 63) as usize];
                text.push(if place > group.len() {
                    '='
                } else {
                    char::from(digit)
                });
            }
        }
        text.push('\n');
    }
    text
}
