//! Which tables belong to a virtual table. SQLite says so by their names alone: an application's own table `posts_content` beside an FTS5
//! table `posts` is called a shadow table too. What such a table is for its virtual table is told here by its columns. Not in here: what
//! becomes of any of them.

use std::collections::BTreeMap;

use rusqlite::Connection;

/// The virtual tables of `main`.
#[derive(Debug, Default)]
pub struct Virtuals {
    /// By lower-case name.
    made: BTreeMap<String, Made>,
}

/// A full-text index over another table, from which SQLite can make it anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullText {
    pub name: String,
    /// The table or view that has the text: in lower case and without blanks.
    pub content: String,
}

/// How a virtual table was made.
#[derive(Debug, Default, PartialEq, Eq)]
struct Made {
    /// As it is called.
    name: String,
    /// Its module, in lower case.
    module: String,
    /// The text between the parentheses, in lower case and without blanks.
    arguments: String,
}

impl Virtuals {
    /// Reads them.
    pub fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare(
            "SELECT l.name, s.sql FROM pragma_table_list AS l JOIN sqlite_schema AS s ON s.name = l.name AND s.type = 'table'
              WHERE l.schema = 'main' AND l.type = 'virtual'",
        )?;
        let mut rows = statement.query([])?;
        let mut made = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let text = |at: usize| -> rusqlite::Result<String> {
                let bytes = row.get_ref(at)?.as_bytes().unwrap_or_default();
                Ok(String::from_utf8_lossy(bytes).into_owned())
            };
            let name = text(0)?;
            let key = name.to_lowercase();
            let of = Made::of(&text(1)?);
            made.insert(key, Made { name, ..of });
        }
        Ok(Self { made })
    }

    /// Whether a table that SQLite calls a shadow table is one of the application's own.
    pub fn is_ordinary(&self, connection: &Connection, table: &str) -> rusqlite::Result<bool> {
        let name = table.to_lowercase();
        // SQLite takes what is before the last underscore for the virtual table's name.
        let Some((of, part)) = name.rsplit_once('_') else {
            return Ok(false);
        };
        let Some(made) = self.made.get(of) else {
            return Ok(false);
        };
        let mut statement =
            connection.prepare_cached("SELECT name FROM pragma_table_xinfo(?1) ORDER BY cid")?;
        let columns: Vec<String> = statement
            .query_map([table], |row| row.get::<_, String>(0))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(!made.has_made(part, &columns))
    }

    /// Whether this virtual table is a full-text index that holds the only copy of its text.
    pub fn holds_text(&self, table: &str) -> bool {
        let made = self.made.get(&table.to_lowercase());
        made.is_some_and(|made| {
            matches!(made.module.as_str(), "fts3" | "fts4" | "fts5") && !made.states_content()
        })
    }

    /// The full-text indexes whose text is in another table.
    pub fn full_text(&self) -> Vec<FullText> {
        let indexes = self.made.values();
        let indexes = indexes.filter(|made| matches!(made.module.as_str(), "fts4" | "fts5"));
        let over = indexes.filter_map(|made| {
            Some(FullText {
                name: made.name.clone(),
                content: made.content()?,
            })
        });
        over.collect()
    }
}

impl Made {
    fn of(sql: &str) -> Self {
        let after_name = sql
            .get("CREATE VIRTUAL TABLE".len()..)
            .map_or("", |rest| after_token(rest.trim_start()));
        let using = after_name.trim_start();
        let Some(module) = using.get("USING".len()..) else {
            return Self::default();
        };
        let (module, arguments) = module.split_once('(').unwrap_or((module, ""));
        Self {
            name: String::new(),
            module: module.trim().to_lowercase(),
            arguments: arguments
                .to_lowercase()
                .chars()
                .filter(|c| !c.is_whitespace())
                .collect(),
        }
    }

    /// Whether its text is in another table, or nowhere.
    fn states_content(&self) -> bool {
        let states = |option: &str| {
            self.arguments.starts_with(option) || self.arguments.contains(&format!(",{option}"))
        };
        states("content=") && !states("contentless_unindexed=1")
    }

    /// The table that has its text; none where that is nowhere, or its own.
    fn content(&self) -> Option<String> {
        let after = match self.arguments.strip_prefix("content=") {
            Some(rest) => rest,
            None => self.arguments.split_once(",content=")?.1,
        };
        let value = after.split([',', ')']).next().unwrap_or_default();
        let value = value.trim_matches(|c: char| "'\"`[]".contains(c));
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Whether the module makes a table of these columns for this part of its name.
    fn has_made(&self, part: &str, columns: &[String]) -> bool {
        let begin = |names: &[&str]| {
            columns.len() >= names.len()
                && columns
                    .iter()
                    .zip(names)
                    .all(|(column, name)| column.eq_ignore_ascii_case(name))
        };
        match (self.module.as_str(), part) {
            ("fts3" | "fts4" | "fts5", "content") if self.states_content() => false,
            ("fts5", "data") => begin(&["id", "block"]),
            ("fts5", "idx") => begin(&["segid", "term", "pgno"]),
            ("fts5", "content") => begin(&["id"]) && columns[1..].iter().all(|name| is_place(name)),
            ("fts5", "docsize") => begin(&["id", "sz"]),
            ("fts5", "config") => begin(&["k", "v"]),
            ("fts3" | "fts4", "content") => {
                let numbered = columns.iter().skip(1).all(|name| begins_as_place(name));
                begin(&["docid"]) && numbered
            }
            ("fts3" | "fts4", "segments") => begin(&["blockid", "block"]),
            ("fts3" | "fts4", "segdir") => begin(&["level", "idx", "start_block"]),
            ("fts3" | "fts4", "docsize") => begin(&["docid", "size"]),
            ("fts3" | "fts4", "stat") => begin(&["id", "value"]),
            ("rtree" | "rtree_i32" | "geopoly", "node") => begin(&["nodeno", "data"]),
            ("rtree" | "rtree_i32" | "geopoly", "parent") => begin(&["nodeno", "parentnode"]),
            ("rtree" | "rtree_i32" | "geopoly", "rowid") => begin(&["rowid", "nodeno"]),
            // What another module keeps where is not known.
            _ => true,
        }
    }
}

/// `c0`, `c1`, … of FTS5's own copy of the text, `l0`, … of its locales.
fn is_place(column: &str) -> bool {
    let digits = column.strip_prefix(['c', 'l', 'C', 'L']);
    digits.is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// `c0title`, `c1body`, … of FTS3's and FTS4's, and their column for languages.
fn begins_as_place(column: &str) -> bool {
    let digits = column.strip_prefix(['c', 'C']);
    column.eq_ignore_ascii_case("langid")
        || digits.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// What follows a name, quoted or not.
fn after_token(sql: &str) -> &str {
    let close = match sql.chars().next() {
        Some('[') => ']',
        Some(quote @ ('"' | '\'' | '`')) => quote,
        _ => {
            let end = sql.find(char::is_whitespace).unwrap_or(sql.len());
            return &sql[end..];
        }
    };
    let mut rest = &sql[1..];
    while let Some(end) = rest.find(close) {
        rest = &rest[end + 1..];
        // A quote that is doubled belongs to the name.
        match rest.strip_prefix(close) {
            Some(more) if close != ']' => rest = more,
            _ => return rest,
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_table_is_told_by_its_statement() {
        let made = Made::of("CREATE VIRTUAL TABLE \"a \"\"b\" USING FTS5(body, Content = '')");
        assert_eq!(made.module, "fts5");
        assert!(made.states_content());
        let made = Made::of("CREATE VIRTUAL TABLE notes\nUSING fts5 (title, mycontent)");
        assert_eq!(made.module, "fts5");
        assert!(!made.states_content());
        assert_eq!(made.content(), None);
        let made = Made::of(
            "CREATE VIRTUAL TABLE f USING fts5(body, content = 'Posts', content_rowid='Id')",
        );
        assert_eq!(made.content().as_deref(), Some("posts"));
        let made = Made::of("CREATE VIRTUAL TABLE f USING fts4(content=\"posts\", body)");
        assert_eq!(made.content().as_deref(), Some("posts"));
        assert_eq!(
            Made::of("CREATE VIRTUAL TABLE f USING fts5(body, content='')").content(),
            None
        );
    }

    #[test]
    fn a_shadow_table_is_told_by_its_columns() {
        let fts5 = Made::of("CREATE VIRTUAL TABLE t USING fts5(a, b)");
        let columns = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        assert!(fts5.has_made("content", &columns(&["id", "c0", "c1"])));
        assert!(!fts5.has_made("content", &columns(&["id", "body"])));
        assert!(!fts5.has_made("config", &columns(&["id", "name"])));
        let own = Made::of("CREATE VIRTUAL TABLE t USING own(a)");
        assert!(own.has_made("data", &columns(&["id"])));
    }
}
