//! The text of an index in one form for both sides: letter case of words, quotes, brackets that change nothing, signs of one meaning, and the casts
//! that PostgreSQL writes are taken away. Two forms that are the same say the same; two that differ may do so all the same. What one text says on
//! both sides is judged by `meaning`.

mod meaning;
mod tree;

use std::collections::BTreeSet;

use crate::postgres::catalogue::Index;
use crate::sqlite::checks::{name, tokens};
use crate::sqlite::indexes::PartialIndex;
use crate::transfer::layout::TableLayout;

use meaning::Meaning;
use tree::Node;

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
    /// Of an index of the source, with the target's names; nothing where the target may mean something else by the same words.
    pub fn of_source(table: &TableLayout, index: &PartialIndex) -> Option<Self> {
        let meaning = Meaning { table };
        let key = |text: &String| {
            let folds = index.unique && is_folded(table, text);
            let key = without_case(read(table, Side::Source, text)?, folds);
            meaning.is_sure_key(&key).then_some(())?;
            Some(meaning::of_source(key)?.written())
        };
        let predicate = match &index.predicate {
            Some(predicate) => {
                let tree = read(table, Side::Source, predicate)?;
                meaning.is_sure_condition(&tree).then_some(())?;
                Some(meaning::of_source(tree)?.written())
            }
            None => None,
        };
        let keys: Option<Vec<String>> = index.keys.iter().map(key).collect();
        Some(Self {
            keys: keys?,
            predicate,
        })
    }

    /// Of an index of the target; `unique` where it is asked whether it keeps what one of the source's does.
    pub fn of_target(table: &TableLayout, index: &Index, unique: bool) -> Option<Self> {
        let key = |text: &String| {
            let tree = meaning::of_target(read(table, Side::Target, text)?);
            let folds = |name: &String| {
                let mut columns = table.columns.iter();
                columns.any(|column| column.target.name == *name && column.target.folds)
            };
            let is_folded = unique && name(&tree.head).as_ref().is_some_and(folds);
            Some(without_case(tree, is_folded).written())
        };
        let predicate = match &index.predicate {
            Some(predicate) => {
                Some(meaning::of_target(read(table, Side::Target, predicate)?).written())
            }
            None => None,
        };
        let keys: Option<Vec<String>> = index.expressions.iter().map(key).collect();
        Some(Self {
            keys: keys?,
            predicate,
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
}

/// Whether a condition of the source says the same as one of the target; nothing where their words are not even alike.
pub(in crate::transfer::layout::promised) fn is_same_condition(
    table: &TableLayout,
    here: &str,
    there: &str,
) -> Option<bool> {
    let here = read(table, Side::Source, here)?;
    let there = read(table, Side::Target, there)?;
    if here.written() != there.written() {
        return None;
    }
    let is_sure = Meaning { table }.is_sure_condition(&here);
    let means = meaning::of_source(here).map(|tree| tree.written());
    Some(is_sure && means == Some(meaning::of_target(there).written()))
}

/// The target's names of an index's keys, where each is a column as it is.
pub(super) fn whole_columns(table: &TableLayout, index: &PartialIndex) -> Option<BTreeSet<String>> {
    let column = |key: &String| {
        let tree = read(table, Side::Source, key)?;
        let is_column = tree.of.is_empty() && tree.head.starts_with('"');
        if is_column { name(&tree.head) } else { None }
    };
    index.keys.iter().map(column).collect()
}

/// The tree of a text.
fn read(table: &TableLayout, side: Side, text: &str) -> Option<Node> {
    tree::tree(&words(table, side, text)?)
}

/// Whether a key of the source is a column that takes letters of both cases for equal.
fn is_folded(table: &TableLayout, key: &str) -> bool {
    let place = match tokens(key).as_slice() {
        [(_, only)] => name(only).and_then(|name| table.source.column(&name)),
        _ => None,
    };
    let collation = place.and_then(|place| table.source.columns[place].collation.as_deref());
    collation.is_some_and(|collation| collation.eq_ignore_ascii_case("nocase"))
}

/// A key that takes letters of both cases for equal, as the server has to write it: by small letters.
fn without_case(key: Node, folds: bool) -> Node {
    let key = match key.head.as_str() {
        "collate nocase" => tree::call("lower", key.of),
        _ => key,
    };
    match folds {
        true => tree::call("lower", vec![key]),
        false => key,
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
                known.then(|| word.clone())
            }
        };
        match column {
            Some(column) => found.push(format!("\"{}\"", column.replace('"', "\"\""))),
            // SQLite takes what is in double quotes and is no column for a text.
            None if side == Side::Source && token.starts_with('"') => {
                let is_collation = found.last().is_some_and(|last| last == "collate");
                found.push(match is_collation {
                    true => word.to_lowercase(),
                    false => format!("'{}'", word.replace('\'', "''")),
                });
            }
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
        (Some("like"), "*") => "ilike",
        (Some("!"), "~") => "!~",
        (Some("!~"), "~") => "!~~",
        (Some("!~~"), "*") => "!~~*",
        (Some("|"), "|") => "||",
        (Some("-"), ">") => "->",
        (Some("->"), ">") => "->>",
        (Some("<"), "<") => "<<",
        (Some(">"), ">") => ">>",
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
            None if kept.last().is_some_and(|last| last == "null") => {}
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
        Some(tree::tree(&found)?.written())
    }

    #[test]
    fn like_means_what_ilike_means() {
        let words = |side: Side, text: &str| {
            let node = tree::tree(&[
                "k".to_owned(),
                if side == Side::Source {
                    "like"
                } else {
                    "ilike"
                }
                .to_owned(),
                text.to_owned(),
            ]);
            node.expect("a tree")
        };
        let source =
            |text: &str| meaning::of_source(words(Side::Source, text)).map(|n| n.written());
        let target = |text: &str| Some(meaning::of_target(words(Side::Target, text)).written());
        for pattern in ["'a%'", "'1_%'"] {
            assert_eq!(source(pattern), target(pattern), "{pattern}");
        }
        assert_eq!(source("'1%'"), Some("like(k; '1%')".to_owned()));
        assert_eq!(
            source("'a\\_b'"),
            None,
            "a sign that escapes on one side alone"
        );
        assert_eq!(source("'ä%'"), None, "letters that one side alone folds");
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
            ("a between 1 and 2", "((a >= 1) AND (a <= 2))"),
            ("a not between 1 and 2", "((a < 1) OR (a > 2))"),
            ("a || '-' || b", "((a || '-'::text) || b)"),
            (
                "case when a = 1 then b end",
                "CASE WHEN (a = 1) THEN b ELSE NULL::text END",
            ),
            ("a not in ('x')", "(a <> 'x'::text)"),
            ("2 > a", "(a < 2)"),
            ("a + b * 2 > 3", "((a + (b * 2)) > 3)"),
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
            ("a - (b - 1)", "((a - b) - 1)"),
            ("a is 1", "(a = 1)"),
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
