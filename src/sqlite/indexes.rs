//! Indexes of a SQLite file over expressions, or over some of a table's rows. SQLite tells of them by the text of `CREATE INDEX` alone, so this
//! text is cut at its words. Not in here: what an expression means, and indexes over whole columns and all rows (`schema`).

use rusqlite::Connection;

use crate::sqlite::checks::tokens;

/// An index over expressions, or over some rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialIndex {
    pub name: String,
    /// No two rows may be the same under it.
    pub unique: bool,
    /// What it is over, as written, without the order.
    pub keys: Vec<String>,
    /// What holds of the rows that it is over, as written.
    pub predicate: Option<String>,
}

/// Those of a table.
pub fn read(connection: &Connection, table: &str) -> rusqlite::Result<Vec<PartialIndex>> {
    let sql = "SELECT i.name, i.\"unique\", s.sql FROM pragma_index_list(?1) AS i JOIN sqlite_schema AS s ON s.type = 'index' AND s.name = i.name
                WHERE s.sql IS NOT NULL
                  AND (i.partial OR EXISTS (SELECT 1 FROM pragma_index_xinfo(i.name) AS c WHERE c.key AND c.cid = -2))
                ORDER BY i.seq";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([table])?;
    let mut indexes = Vec::new();
    while let Some(row) = rows.next()? {
        // A name or text that is not UTF-8 is nothing that could be shown.
        let (Ok(name), Ok(sql)) = (row.get::<_, String>(0), row.get::<_, String>(2)) else {
            continue;
        };
        let (keys, predicate) = parts(&sql);
        indexes.push(PartialIndex {
            name,
            unique: row.get(1)?,
            keys,
            predicate,
        });
    }
    Ok(indexes)
}

/// What stands between the parentheses of `CREATE INDEX`, cut at its commas, and what stands behind WHERE.
fn parts(sql: &str) -> (Vec<String>, Option<String>) {
    let (mut keys, mut depth, mut begin) = (Vec::new(), 0_usize, 0);
    let mut predicate = None;
    for (start, token) in tokens(sql) {
        match token {
            "(" => {
                depth += 1;
                if depth == 1 {
                    begin = start + 1;
                }
            }
            ")" | "," if depth == 1 => {
                keys.push(without_order(&sql[begin..start]));
                begin = start + 1;
                depth -= usize::from(token == ")");
            }
            ")" => depth = depth.saturating_sub(1),
            word if depth == 0 && word.eq_ignore_ascii_case("where") => {
                predicate = Some(without_comment(&sql[start + word.len()..]));
                break;
            }
            _ => {}
        }
    }
    (keys, predicate)
}

/// A key without ASC or DESC behind it.
fn without_order(key: &str) -> String {
    let last = tokens(key).last().copied();
    let order = last
        .filter(|(_, word)| word.eq_ignore_ascii_case("asc") || word.eq_ignore_ascii_case("desc"));
    let end = order.map_or(key.len(), |(start, _)| start);
    without_comment(&key[..end])
}

/// The text up to its last word: without comments and blanks around it.
fn without_comment(text: &str) -> String {
    let tokens = tokens(text);
    match (tokens.first(), tokens.last()) {
        (Some((start, _)), Some((last, word))) => text[*start..last + word.len()].to_owned(),
        (_, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_and_predicates_are_found_as_they_are_written() {
        let connection = Connection::open_in_memory().expect("an empty database");
        connection
            .execute_batch(
                "CREATE TABLE t (a, b, \"(\" TEXT);
                 CREATE INDEX plain ON t(a, b); CREATE UNIQUE INDEX some ON t(a DESC, b) WHERE b > 0 -- all
                 ;
                 CREATE UNIQUE INDEX \"where (\" ON t(lower(a) ASC, coalesce(b, ',)'), \"(\");
                 CREATE INDEX sum ON t((a + b) COLLATE NOCASE desc)",
            )
            .expect("the schema");
        let mut found = read(&connection, "t").expect("reading it");
        found.sort_by(|one, other| one.name.cmp(&other.name));
        let said: Vec<(&str, bool, String, Option<&str>)> = found
            .iter()
            .map(|index| {
                let keys = index.keys.join(" | ");
                (
                    index.name.as_str(),
                    index.unique,
                    keys,
                    index.predicate.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            said,
            [
                ("some", true, "a | b".to_owned(), Some("b > 0")),
                ("sum", false, "(a + b) COLLATE NOCASE".to_owned(), None),
                (
                    "where (",
                    true,
                    "lower(a) | coalesce(b, ',)') | \"(\"".to_owned(),
                    None
                ),
            ]
        );
    }
}
