//! The text of an index in one form for both sides: letter case of words, quotes, brackets that change nothing, signs of one meaning, and the casts
//! that PostgreSQL writes are taken away. Two forms that are the same say the same; two that differ may do so all the same.

use std::collections::BTreeSet;

use crate::postgres::catalogue::Index;
use crate::sqlite::checks::{name, tokens};
use crate::sqlite::indexes::PartialIndex;
use crate::transfer::layout::TableLayout;

/// Who wrote a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Source,
    Target,
}

/// An index in one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    keys: Vec<String>,
    predicate: Option<String>,
}

impl Form {
    /// Of an index of the source, with the target's names.
    pub fn of_source(table: &TableLayout, index: &PartialIndex) -> Option<Self> {
        let predicate = index.predicate.as_deref();
        Self::of(table, Side::Source, &index.keys, predicate)
    }

    /// Of an index of the target.
    pub fn of_target(table: &TableLayout, index: &Index) -> Option<Self> {
        let predicate = index.predicate.as_deref();
        Self::of(table, Side::Target, &index.expressions, predicate)
    }

    fn of(
        table: &TableLayout,
        side: Side,
        keys: &[String],
        predicate: Option<&str>,
    ) -> Option<Self> {
        let form = |text: &str| words(table, side, text).map(|words| logic(&words));
        let keys: Option<Vec<String>> = keys.iter().map(|key| form(key)).collect();
        Some(Self {
            keys: keys?,
            predicate: match predicate {
                Some(predicate) => Some(form(predicate)?),
                None => None,
            },
        })
    }

    /// Whether two say the same; the order of keys is nothing to what is unique.
    pub fn is_same(&self, other: &Self, unique: bool) -> bool {
        let mut keys = [self.keys.clone(), other.keys.clone()];
        if unique {
            keys.iter_mut().for_each(|keys| keys.sort());
        }
        keys[0] == keys[1] && self.predicate == other.predicate
    }

    /// The target's names of the keys, where each is a column as it is.
    pub fn whole_columns(&self) -> Option<BTreeSet<String>> {
        let column = |key: &String| {
            let is_column = key.starts_with('"') && tokens(key).len() == 1;
            if is_column { name(key) } else { None }
        };
        self.keys.iter().map(column).collect()
    }
}

/// The columns that an index of the source reads, by the target's names; nothing where one of them does not move.
pub(super) fn columns(table: &TableLayout, index: &PartialIndex) -> Option<BTreeSet<String>> {
    let texts = index.keys.iter().chain(&index.predicate);
    let names = texts
        .flat_map(|text| tokens(text))
        .filter_map(|(_, token)| name(token));
    let places = names.filter_map(|name| table.source.column(&name));
    places.map(|place| moved(table, place)).collect()
}

/// The target's name of a column of the source.
fn moved(table: &TableLayout, place: usize) -> Option<String> {
    let mut columns = table.columns.iter();
    let column = columns.find(|column| column.source == place)?;
    Some(column.target.name.clone())
}

/// The words of a text: columns in quotes by the target's names, other words in small letters. Nothing where it cannot be told what they mean.
fn words(table: &TableLayout, side: Side, text: &str) -> Option<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    let mut end = 0;
    for (start, token) in tokens(text) {
        let touches = start == end;
        end = start + token.len();
        if side == Side::Target && token.starts_with('[') {
            array(table, token, &mut found)?;
            continue;
        }
        let Some(word) = name(token) else {
            sign(token, touches, &mut found);
            continue;
        };
        let column = match side {
            Side::Source => match table.source.column(&word) {
                Some(place) => Some(moved(table, place)?),
                None => None,
            },
            Side::Target => {
                let mut columns = table.columns.iter();
                let known = columns.any(|column| column.target.name == word);
                known.then_some(word)
            }
        };
        match column {
            Some(column) => found.push(format!("\"{}\"", column.replace('"', "\"\""))),
            None => {
                let small = token.to_lowercase();
                let plain = match small.as_str() {
                    "true" => vec!["1"],
                    "false" => vec!["0"],
                    "isnull" => vec!["is", "null"],
                    "notnull" => vec!["is", "not", "null"],
                    other => vec![other],
                };
                found.extend(plain.into_iter().map(str::to_owned));
            }
        }
    }
    if side == Side::Target {
        found = without_casts(&found)?;
    }
    if found.ends_with(&["collate".to_owned(), "binary".to_owned()]) {
        found.truncate(found.len() - 2);
    }
    Some(found)
}

/// Adds the elements of `ARRAY[…]`, in brackets; what is in the brackets of anything else cannot be told.
fn array(table: &TableLayout, token: &str, found: &mut Vec<String>) -> Option<()> {
    if token == "[]" {
        found.push(token.to_owned());
        return Some(());
    }
    if found.pop()? != "array" {
        return None;
    }
    let inside = token.strip_prefix('[')?.strip_suffix(']')?;
    found.push("(".to_owned());
    found.extend(words(table, Side::Target, inside)?);
    found.push(")".to_owned());
    Some(())
}

/// Adds a sign, a number or a text; two signs that belong together as one.
fn sign(token: &str, touches: bool, found: &mut Vec<String>) {
    let before = found.last().map(String::as_str).filter(|_| touches);
    let both = match (before, token) {
        (Some("!"), "=") | (Some("<"), ">") => "<>",
        (Some("="), "=") => "=",
        (Some("~"), "~") => "like",
        (Some("<"), "=") => "<=",
        (Some(">"), "=") => ">=",
        (_, other) => {
            found.push(other.to_owned());
            return;
        }
    };
    found.pop();
    found.push(both.to_owned());
}

/// Without the casts that PostgreSQL writes: of a text that is written out, and to text. Another one says something.
fn without_casts(words: &[String]) -> Option<Vec<String>> {
    let mut kept: Vec<String> = Vec::new();
    let mut rest = words;
    while let [first, after @ ..] = rest {
        rest = after;
        let is_cast = first == ":" && after.first().is_some_and(|next| next == ":");
        if !is_cast {
            kept.push(first.clone());
            continue;
        }
        let (kind, behind) = cast(after.get(1..)?)?;
        rest = behind;
        let written = kept.last().filter(|last| last.starts_with('\'')).cloned();
        let of_text = ["text", "character", "varchar", "bpchar"].contains(&kind);
        match written {
            // A number below zero is written as a text.
            Some(written) if is_number(kind) => {
                kept.pop();
                let number = written.trim_matches('\'');
                kept.extend(
                    tokens(number)
                        .into_iter()
                        .map(|(_, token)| token.to_owned()),
                );
            }
            Some(_) => {}
            None if of_text || is_number(kind) && ends_with_a_number(&kept) => {}
            None => return None,
        }
    }
    Some(kept)
}

/// Whether the last word is a number that is written out, in brackets or without.
fn ends_with_a_number(words: &[String]) -> bool {
    let digits = |word: &String| word.parse::<f64>().is_ok();
    match words {
        [.., open, number, close] if open == "(" && close == ")" => digits(number),
        [.., number] => digits(number),
        [] => false,
    }
}

fn is_number(kind: &str) -> bool {
    ["integer", "bigint", "smallint", "numeric", "double", "real"].contains(&kind)
}

/// The first word of the type behind `::`, and what follows the type.
fn cast(words: &[String]) -> Option<(&str, &[String])> {
    let (kind, mut rest) = words.split_first()?;
    // `timestamp(3) without time zone`, `character varying(20)`.
    let more = ["varying", "precision", "without", "with", "time", "zone"];
    loop {
        match rest {
            [next, after @ ..] if more.contains(&next.as_str()) || next == "[]" => rest = after,
            [open, _, close, after @ ..] if open == "(" && close == ")" => rest = after,
            _ => return Some((kind.as_str(), rest)),
        }
    }
}

/// AND, OR and NOT with what they are about, in an order of their own; brackets that change nothing are left out.
fn logic(words: &[String]) -> String {
    let words = bare(words);
    // The AND of BETWEEN is another one, and CASE has words of its own.
    let is_plain = !words.iter().any(|word| word == "between" || word == "case");
    for operator in ["or", "and"].into_iter().filter(|_| is_plain) {
        let parts = split(&words, operator);
        if parts.len() > 1 {
            let mut parts: Vec<String> = parts.into_iter().map(logic).collect();
            parts.sort();
            return format!("{operator}({})", parts.join("; "));
        }
    }
    match words.split_first() {
        Some((first, rest)) if first == "not" && is_plain => format!("not({})", logic(rest)),
        Some(_) | None => words.join(" "),
    }
}

/// Cut at a word outside of all brackets.
fn split<'w>(words: &'w [String], operator: &str) -> Vec<&'w [String]> {
    let mut depth = 0_i32;
    words
        .split(|word| {
            match word.as_str() {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            depth == 0 && word == operator
        })
        .collect()
}

/// Without brackets around the whole, around one word, and around other brackets; `= ANY (…)` as `IN (…)`.
fn bare(words: &[String]) -> Vec<String> {
    let mut words = words.to_vec();
    for at in 0..words.len().saturating_sub(1) {
        match (words[at].as_str(), words[at + 1].as_str()) {
            ("=", "any") => {
                words[at].clear();
                "in".clone_into(&mut words[at + 1]);
            }
            ("<>", "all") => {
                "not".clone_into(&mut words[at]);
                "in".clone_into(&mut words[at + 1]);
            }
            (_, _) => {}
        }
    }
    words.retain(|word| !word.is_empty());
    while let Some((open, close)) = superfluous(&words) {
        words.remove(close);
        words.remove(open);
    }
    words
}

/// A pair of brackets that changes nothing.
fn superfluous(words: &[String]) -> Option<(usize, usize)> {
    let pairs = (0..words.len()).filter_map(|open| Some((open, closing(words, open)?)));
    let mut pairs = pairs.filter(|(open, close)| {
        let whole = *open == 0 && close + 1 == words.len();
        let before = open.checked_sub(1).map(|before| words[before].as_str());
        // Behind a word they are a function's, or a list.
        let is_word = |word: &str| word.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let one_word = *close == open + 2 && !before.is_some_and(is_word);
        let doubled = closing(words, open + 1).is_some_and(|inner| inner + 1 == *close);
        whole || one_word || doubled
    });
    pairs.next()
}

/// Where the bracket that opens here is closed.
fn closing(words: &[String], open: usize) -> Option<usize> {
    if words.get(open)? != "(" {
        return None;
    }
    let mut depth = 0_usize;
    for (at, word) in words.iter().enumerate().skip(open) {
        match word.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(side: Side, text: &str) -> Option<String> {
        // Without a table, no word is a column.
        let mut found: Vec<String> = Vec::new();
        let mut end = 0;
        for (start, token) in tokens(text) {
            let touches = start == end;
            end = start + token.len();
            match name(token) {
                Some(word) => found.push(word.to_lowercase()),
                None => sign(token, touches, &mut found),
            }
        }
        let found = match side {
            Side::Source => found,
            Side::Target => without_casts(&found)?,
        };
        Some(logic(&found))
    }

    #[test]
    fn what_both_sides_write_in_their_own_ways_is_the_same() {
        for (source, target) in [
            ("del is null", "(del IS NULL)"),
            ("LOWER(k)", "lower((\"k\")::text)"),
            ("v + 1", "(v + 1)"),
            ("a == 1 and b != 'x'", "((b <> 'x'::text) AND (a = 1))"),
            ("not (a = 1 or b = 2)", "(NOT ((a = 1) OR (b = 2)))"),
            ("a > -1", "(a > '-1'::integer)"),
            ("b > 1", "(b > (1)::numeric)"),
            ("k like 'a%'", "((k)::text ~~ 'a%'::text)"),
            ("coalesce(k, '')", "COALESCE(k, ''::character varying(20))"),
        ] {
            let there = form(Side::Target, target);
            assert!(there.is_some(), "{target}");
            assert_eq!(form(Side::Source, source), there, "{source}");
        }
        for (source, target) in [
            (
                "a = 1 and (b = 2 or c = 3)",
                "(((a = 1) AND (b = 2)) OR (c = 3))",
            ),
            ("a = 1", "(a = '1'::mood)"),
            ("lower(k)", "upper(k)"),
            ("a between 1 and 2", "((a >= 1) AND (a <= 2))"),
        ] {
            assert_ne!(
                form(Side::Source, source),
                form(Side::Target, target),
                "{source}"
            );
        }
        assert_eq!(form(Side::Target, "(a)::integer"), None);
    }
}
