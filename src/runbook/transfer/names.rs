//! How a transfer section names tables and columns: `Table`, `Table.Column`, `*` for any run of characters, and a part in double quotes
//! for a name that holds a dot, a star or a quote: `"a.b".c`, `*."x*"`. A quote within quotes is written twice, as in SQL.
//! Letters of ASCII count without their case, as they do in SQLite, where no two tables and no two columns of one table differ by it alone.
//!
//! Not in here: which settings a name leads to (`super`), and reading YAML (`runbook::parse`).

use serde::Serialize;

/// A name with `*` for any run of characters. `*` crosses the dot between table and column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Pattern(String);

/// What `accept:` calls things by names of PostgreSQL's own.
pub const SERVERS_OWN: &[&str] = &["constraint ", "trigger "];

/// Whether letter case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// It does not, for letters of ASCII.
    Ignored,
    Kept,
}

/// A piece of a pattern or of what it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// Any run of characters; in patterns alone.
    Any,
    /// The dot between table and column.
    Dot,
    /// A character of a name.
    Char(char),
}

impl Token {
    fn is(self, other: Self, case: Case) -> bool {
        match (self, other, case) {
            (Self::Char(one), Self::Char(other), Case::Ignored) => one.eq_ignore_ascii_case(&other),
            (one, other, Case::Ignored | Case::Kept) => one == other,
        }
    }
}

impl Pattern {
    /// A pattern from its written form. Every text is a valid pattern.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of a text fits that is no name of a table or column. A pattern that is in quotes from end to end is that text.
    pub fn matches(&self, text: &str, case: Case) -> bool {
        let tokens = match quoted_part(&self.0) {
            Some((literal, "")) => characters(&literal),
            Some(_) | None => plain(&self.0),
        };
        fits(&tokens, &characters(text), case)
    }

    /// The whole of it as a text that is no name of a table or column; none where it has wildcards.
    pub fn literal(&self) -> Option<String> {
        match quoted_part(&self.0) {
            Some((literal, "")) => Some(literal),
            Some(_) | None => (!self.0.contains('*')).then(|| self.0.clone()),
        }
    }

    /// Whether it names this table. Outside of quotes a dot leads to a column, so that no table is meant.
    pub fn matches_table(&self, table: &str) -> bool {
        fits(&read(&self.0).0, &characters(table), Case::Ignored)
    }

    /// Whether it names this column. Without quotes its dots may be dots of the names, too.
    pub fn matches_column(&self, table: &str, column: &str) -> bool {
        self.matches_column_by(table, column, Case::Ignored)
    }

    pub(super) fn matches_column_by(&self, table: &str, column: &str, case: Case) -> bool {
        let (tokens, has_quotes) = read(&self.0);
        names_column(&tokens, has_quotes, table, column, case)
    }

    /// Whether it has a `*` that stands for anything.
    pub fn has_wildcards(&self) -> bool {
        read(&self.0).0.contains(&Token::Any)
    }

    /// Exact names above all wildcards, longer wildcards above shorter ones.
    pub(super) fn specificity(&self) -> usize {
        let (tokens, _) = read(&self.0);
        let literal = tokens.iter().filter(|token| **token != Token::Any).count();
        if literal == tokens.len() {
            usize::MAX
        } else {
            literal
        }
    }
}

/// A name as a part of a pattern that means this name alone: as it is where that is safe, else in quotes.
pub fn part(name: &str) -> String {
    if name.is_empty() || name.contains(['.', '*', '"', ',']) || name.trim() != name {
        in_quotes(name)
    } else {
        name.to_owned()
    }
}

pub fn in_quotes(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column, as a pattern that means it alone.
pub fn column_key(table: &str, column: &str) -> String {
    format!("{}.{}", part(table), part(column))
}

/// A text that is no name of a table or column, as a pattern that means it alone.
pub fn text_key(text: &str) -> String {
    if text.contains('*') || text.starts_with('"') {
        in_quotes(text)
    } else {
        text.to_owned()
    }
}

/// Whether a name without wildcards is this table's. `*` is a star of the name.
pub fn means_table(key: &str, table: &str) -> bool {
    means_table_by(key, table, Case::Ignored)
}

pub(super) fn means_table_by(key: &str, table: &str, case: Case) -> bool {
    let (tokens, _) = read(key);
    fits(&without_wildcards(tokens), &characters(table), case)
}

/// Whether a name without wildcards is this column's. `*` is a star of the names.
pub fn means_column(key: &str, table: &str, column: &str) -> bool {
    means_column_by(key, table, column, Case::Ignored)
}

pub(super) fn means_column_by(key: &str, table: &str, column: &str, case: Case) -> bool {
    let (tokens, has_quotes) = read(key);
    names_column(&without_wildcards(tokens), has_quotes, table, column, case)
}

/// The names of a list with commas between them; a comma within quotes is one of the name.
pub fn listed(list: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let (mut start, mut is_quoted) = (0, false);
    for (at, c) in list.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => {
                names.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    names.push(list[start..].trim());
    names
}

fn names_column(tokens: &[Token], has_quotes: bool, table: &str, column: &str, case: Case) -> bool {
    let mut name = characters(table);
    name.push(Token::Dot);
    name.extend(characters(column));
    if has_quotes {
        return fits(tokens, &name, case);
    }
    fits(&any_dot(tokens), &any_dot(&name), case)
}

/// The same with every dot a character like others.
fn any_dot(tokens: &[Token]) -> Vec<Token> {
    let undone = tokens.iter().map(|token| match token {
        Token::Dot => Token::Char('.'),
        Token::Any => Token::Any,
        Token::Char(c) => Token::Char(*c),
    });
    undone.collect()
}

fn without_wildcards(tokens: Vec<Token>) -> Vec<Token> {
    let literal = tokens.into_iter().map(|token| match token {
        Token::Any => Token::Char('*'),
        Token::Dot => Token::Dot,
        Token::Char(c) => Token::Char(c),
    });
    literal.collect()
}

fn characters(name: &str) -> Vec<Token> {
    name.chars().map(Token::Char).collect()
}

/// A pattern in which quotes and dots mean nothing.
fn plain(text: &str) -> Vec<Token> {
    let tokens = text.chars().map(|c| match c {
        '*' => Token::Any,
        c => Token::Char(c),
    });
    tokens.collect()
}

/// A written name, and whether some part of it is in quotes.
fn read(text: &str) -> (Vec<Token>, bool) {
    let (mut tokens, mut has_quotes) = (Vec::new(), false);
    let mut rest = text;
    let mut begins_part = true;
    while let Some(c) = rest.chars().next() {
        if begins_part && let Some((name, after)) = quoted_part(rest) {
            tokens.extend(characters(&name));
            has_quotes = true;
            rest = after;
            begins_part = false;
            continue;
        }
        begins_part = c == '.';
        tokens.push(match c {
            '.' => Token::Dot,
            '*' => Token::Any,
            c => Token::Char(c),
        });
        rest = &rest[c.len_utf8()..];
    }
    (tokens, has_quotes)
}

/// A name in quotes at the beginning of a text, and what follows it: a dot or nothing. A quote that opens no such part is one of the name.
fn quoted_part(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut name = String::new();
    loop {
        let at = rest.find('"')?;
        name.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.chars().next() {
            Some('"') => {
                name.push('"');
                rest = &rest[1..];
            }
            Some('.') | None => return Some((name, rest)),
            Some(_) => return None,
        }
    }
}

/// Whether the whole of a name fits a pattern.
fn fits(pattern: &[Token], name: &[Token], case: Case) -> bool {
    let (mut at, mut seen) = (0, 0);
    // Behind the last wildcard, and from where it is to be tried again.
    let mut wildcard: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some(Token::Any) => {
                at += 1;
                wildcard = Some((at, seen));
            }
            Some(token) if token.is(name[seen], case) => {
                at += 1;
                seen += 1;
            }
            Some(Token::Dot | Token::Char(_)) | None => {
                let Some((behind, from)) = wildcard else {
                    return false;
                };
                at = behind;
                seen = from + 1;
                wildcard = Some((behind, seen));
            }
        }
    }
    pattern[at..].iter().all(|token| *token == Token::Any)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::parse_transfer;
    use crate::text::yaml_scalar;

    #[test]
    fn wildcards_match_whole_names() {
        for (pattern, name, is_met) in [
            ("SearchIndex*", "SearchIndex_data", true),
            ("SearchIndex*", "MySearchIndex", false),
            ("*.CreatedAt", "Tools.CreatedAt", true),
            ("*.CreatedAt", "Tools.CreatedAtUtc", false),
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "acb", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("*", "", true),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(name, Case::Kept),
                is_met,
                "{pattern} on {name}"
            );
        }
    }

    #[test]
    fn a_part_in_quotes_is_a_name() {
        for (pattern, table, column, is_met) in [
            ("\"a.b\".c", "a.b", "c", true),
            ("\"a.b\".c", "a", "b.c", false),
            ("a.\"b.c\"", "a", "b.c", true),
            ("a.\"b.c\"", "a.b", "c", false),
            ("a.b.c", "a.b", "c", true),
            ("a.b.c", "a", "b.c", true),
            ("t.\"x*\"", "t", "x*", true),
            ("t.\"x*\"", "t", "xy", false),
            ("*.\"x*\"", "t", "x*", true),
            ("*.\"c\"", "t", "b.c", false),
            ("*.c", "t", "b.c", true),
            ("\"q\"\"q\".c", "q\"q", "c", true),
            ("t.\"q", "t", "\"q", true),
            ("\"\".c", "", "c", true),
            ("\"a\"b.c", "\"a\"b", "c", true),
        ] {
            let pattern = Pattern::new(pattern);
            assert_eq!(
                pattern.matches_column(table, column),
                is_met,
                "{} on {table} and {column}",
                pattern.as_str()
            );
        }
        assert!(Pattern::new("\"a.b\"").matches_table("a.b"));
        assert!(!Pattern::new("a.b").matches_table("a.b"));
        assert!(Pattern::new("a*").matches_table("a.b"));
        assert!(!Pattern::new("\"x*\"").matches_table("xy"));
        assert!(Pattern::new("\"next id x*(y)\"").matches("next id x*(y)", Case::Kept));
        assert!(!Pattern::new("\"next id x*(y)\"").matches("next id xz(y)", Case::Kept));
    }

    #[test]
    fn letters_of_ascii_count_without_their_case() {
        for (pattern, is_met) in [
            ("orders.PAID_AT", true),
            ("\"orders\".paid_at", true),
            ("*.paid_at", true),
            ("order.Paid_At", false),
        ] {
            let pattern = Pattern::new(pattern);
            let met = pattern.matches_column("Orders", "Paid_At");
            assert_eq!(met, is_met, "{}", pattern.as_str());
        }
        assert!(Pattern::new("ORDERS").matches_table("Orders"));
        assert!(!Pattern::new("ÄMTER").matches_table("ämter"));
        assert!(means_table("orders", "Orders"));
        assert!(means_column("orders.paid_at", "Orders", "Paid_At"));
        assert!(Pattern::new("unique kv(a)").matches("unique KV(A)", Case::Ignored));
        assert!(!Pattern::new("constraint a").matches("constraint A", Case::Kept));
    }

    #[test]
    fn a_comma_in_quotes_is_one_of_the_name() {
        assert_eq!(listed("a.b, \"c,d\".e ,f.g"), ["a.b", "\"c,d\".e", "f.g"]);
    }

    /// Every name of up to three of these characters.
    fn names() -> Vec<String> {
        let alphabet = ["a", "b", ".", "*", "\"", ",", " ", "é"];
        let mut names = vec![String::new()];
        let mut last = names.clone();
        for _ in 0..3 {
            last = last
                .iter()
                .flat_map(|name| alphabet.iter().map(move |c| format!("{name}{c}")))
                .collect();
            names.extend(last.iter().cloned());
        }
        names
    }

    /// Names that could be mistaken for these two: the same characters with the border elsewhere, and with other ones where a star is.
    fn mistaken(table: &str, column: &str) -> Vec<(String, String)> {
        let joined = format!("{table}.{column}");
        let splits = joined.match_indices('.').map(|(at, _)| {
            let (before, after) = joined.split_at(at);
            (before.to_owned(), after[1..].to_owned())
        });
        let mut others: Vec<(String, String)> = splits.collect();
        others.push((table.replace('*', "zz"), column.replace('*', "zz")));
        others.push((table.replace('"', ""), column.replace('"', "")));
        others.push((table.trim().to_owned(), column.trim().to_owned()));
        others.retain(|(t, c)| (t.as_str(), c.as_str()) != (table, column));
        others
    }

    #[test]
    fn what_is_suggested_and_pasted_means_that_column_alone() {
        let names = names();
        for (place, table) in names.iter().enumerate() {
            // Each table with some of the columns, so that every name is asked on both sides.
            for column in names.iter().skip(place % 7).step_by(7) {
                let key = column_key(table, column);
                assert!(means_column(&key, table, column), "{key}");
                assert!(Pattern::new(&*key).matches_column(table, column), "{key}");
                for (t, c) in mistaken(table, column) {
                    assert!(!means_column(&key, &t, &c), "{key} on {t:?} and {c:?}");
                    let pattern = Pattern::new(&*key);
                    assert!(!pattern.matches_column(&t, &c), "{key} on {t:?} and {c:?}");
                }
                // A table whose name looks like the whole of it.
                assert!(!Pattern::new(&*key).matches_table(&format!("{table}.{column}")));
                assert!(!means_table(&key, &format!("{table}.{column}")));
            }
            let key = part(table);
            assert!(means_table(&key, table), "{key}");
            assert!(Pattern::new(&*key).matches_table(table), "{key}");
            assert_eq!(
                listed(&format!("{key}.x, b.c")),
                [&*format!("{key}.x"), "b.c"]
            );
        }
    }

    #[test]
    fn what_is_suggested_survives_yaml() {
        for name in names() {
            let (key, of) = (part(&name), column_key(&name, "c"));
            let (key, of) = (yaml_scalar(&key), yaml_scalar(&of));
            let text = format!(
                "exclude:\n  - {key}\nrename:\n  {of}: renamed\ncolumns:\n  {of}: {{ fraction: round }}\n"
            );
            let section = parse_transfer("pasted", &text).expect("a valid section");
            assert!(section.excludes_table(&name), "{text}");
            assert_eq!(
                section.renamed_column(&name, "c"),
                Some("renamed"),
                "{text}"
            );
            assert!(section.column(&name, "c").fraction.is_some(), "{text}");
        }
    }
}
