//! CHECK constraints of a SQLite file. SQLite tells of them by the text of `CREATE TABLE` alone, so this text is cut at its words; what an
//! expression means is not looked at, only which columns it names.

use rusqlite::Connection;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub table: String,
    /// The expression as written, without the outer parentheses.
    pub expression: String,
}

impl Check {
    /// Those of a table's columns that it names, in the table's order.
    pub fn columns(&self, all: &[String]) -> Vec<String> {
        let words: Vec<String> = tokens(&self.expression)
            .into_iter()
            .filter_map(|(_, token)| name(token))
            .collect();
        let names = |column: &&String| words.iter().any(|word| word.eq_ignore_ascii_case(column));
        all.iter().filter(names).cloned().collect()
    }
}

/// All checks of the file's tables.
pub fn read(connection: &Connection) -> rusqlite::Result<Vec<Check>> {
    let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%check%' ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut checks = Vec::new();
    while let Some(row) = rows.next()? {
        // A name or text that is not UTF-8 is nothing that could be shown.
        let (Ok(table), Ok(sql)) = (row.get::<_, String>(0), row.get::<_, String>(1)) else {
            continue;
        };
        checks.extend(expressions(&sql).into_iter().map(|expression| Check {
            table: table.clone(),
            expression,
        }));
    }
    Ok(checks)
}

/// What stands in the parentheses behind each word CHECK.
fn expressions(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut after_check, mut depth) = (false, 0_usize);
    let mut open: Option<(usize, usize)> = None;
    for (start, token) in tokens(sql) {
        match token {
            "(" => {
                depth += 1;
                if after_check && open.is_none() {
                    open = Some((start + 1, depth));
                }
            }
            ")" => {
                if let Some((begin, outer)) = open
                    && outer == depth
                {
                    found.push(sql[begin..start].trim().to_owned());
                    open = None;
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        after_check = token.eq_ignore_ascii_case("check");
    }
    found
}

/// The words, quoted names, texts and signs of SQL with their places; blanks and comments are none.
pub(crate) fn tokens(sql: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let length = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(close) = closing(first) {
            quoted_length(rest, close)
        } else if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let is_comment = rest.starts_with("--") || rest.starts_with("/*");
        if !is_comment && !first.is_whitespace() {
            found.push((at, &rest[..length]));
        }
        at += length;
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The character that ends what this one opens.
fn closing(open: char) -> Option<char> {
    match open {
        '\'' | '"' | '`' => Some(open),
        '[' => Some(']'),
        _ => None,
    }
}

/// How long a quoted name or text is; the closing character twice is one that belongs to it.
fn quoted_length(text: &str, close: char) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != close {
            continue;
        }
        if close != ']' && chars.peek().is_some_and(|(_, next)| *next == close) {
            chars.next();
        } else {
            return at + c.len_utf8();
        }
    }
    text.len()
}

/// The name that a token may be; none for texts, numbers and signs.
pub(crate) fn name(token: &str) -> Option<String> {
    let first = token.chars().next()?;
    match closing(first) {
        Some('\'') => None,
        Some(close) => {
            let inside = token.get(1..token.len().saturating_sub(1))?;
            let twice: String = [close, close].iter().collect();
            Some(inside.replace(&twice, &close.to_string()))
        }
        None if is_word(first) && !first.is_ascii_digit() => Some(token.to_owned()),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_found_with_the_columns_that_they_name() {
        let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, -- CHECK (no)
            \"check\" TEXT CHECK (\"check\" IN ('a)', 'n')), n INTEGER CONSTRAINT c CHECK((n > 0) AND [m m] < 5), \"m m\" INT,
            /* CHECK (id) */ d TEXT DEFAULT 'CHECK (d)', CHECK (length(d) < 5))";
        let found = expressions(sql);
        assert_eq!(
            found,
            [
                "\"check\" IN ('a)', 'n')",
                "(n > 0) AND [m m] < 5",
                "length(d) < 5"
            ]
        );
        let all = ["id", "check", "n", "m m", "d"].map(str::to_owned);
        let named: Vec<Vec<String>> = found
            .into_iter()
            .map(|expression| {
                let table = "t".to_owned();
                Check { table, expression }.columns(&all)
            })
            .collect();
        assert_eq!(named, [vec!["check"], vec!["n", "m m"], vec!["d"]]);
    }
}
