//! How the values of a column are written that do not fit as they are: as lists, as positions, as hexadecimal digits. A setting is only
//! suggested where all of them go by it and by no other; otherwise people are told what they have to decide. A statement that is told for the
//! source leaves every value as it is that it does not fit.

mod bytes;

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::ValueRef;

use self::bytes::Spelled;
use crate::postgres::quoted;
use crate::text::printable;
use crate::transfer::convert::{Converter, NO_NULL};
use crate::transfer::kind::Kind;
use crate::transfer::plan::rewritten::Rewritten;

/// Separators of lists, beside the comma.
const SEPARATORS: [char; 4] = [';', '|', '\n', '\t'];

/// What was seen of the values at fault of one column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Habits {
    /// Texts that are not empty.
    texts: u64,
    /// Of those that are to be bytes, how many seem to spell them.
    spelled: Spelled,
    /// Some list has a blank.
    blanks: bool,
    /// Some list has a quotation mark.
    quotes: bool,
    /// Separators that occur in lists.
    separators: BTreeSet<char>,
    /// Some comma stands alone; some is followed by a blank; some list begins or ends with one.
    commas: [bool; 3],
    /// Positions of an enum, up to one beyond the last.
    positions: BTreeSet<usize>,
    /// Values that stand for none, where the target wants one: how many of each.
    pub nothing: BTreeMap<String, u64>,
    /// Values that fit under no setting.
    pub lost: u64,
    /// Why, as far as it is one and the same reason.
    reasons: BTreeSet<String>,
    /// Of those that fit under no setting, what a statement in the source would write as the target wants it.
    pub rewritten: Rewritten,
    /// Some position is a number, and not text.
    counts: bool,
    /// Some text beside positions is a word.
    words: bool,
}

/// A setting, or the reason why nobody can tell.
pub type Told<T> = Result<T, String>;

impl Habits {
    /// Takes a value in.
    pub fn see(&mut self, value: ValueRef<'_>, kind: &Kind) {
        let ValueRef::Text(bytes) = value else {
            if let (ValueRef::Integer(position), Kind::Enum(labels)) = (value, kind) {
                self.counts = true;
                self.see_position(position, labels.len());
            }
            return;
        };
        let Ok(text) = std::str::from_utf8(bytes) else {
            return;
        };
        // JSON's null stands for none, and not for a list.
        let null = matches!(kind, Kind::Array { .. }) && text == "null";
        self.texts += u64::from(!text.is_empty() && !null);
        match kind {
            Kind::Bytea => self.spelled.see(text),
            Kind::Array { .. } => self.see_list(text),
            Kind::Enum(labels) => match text.parse() {
                Ok(position) => self.see_position(position, labels.len()),
                Err(_) => self.words |= !text.is_empty(),
            },
            _ => {}
        }
    }

    fn see_position(&mut self, position: i64, labels: usize) {
        let position = usize::try_from(position).ok();
        self.positions
            .extend(position.filter(|position| *position <= labels));
    }

    fn see_list(&mut self, text: &str) {
        self.separators
            .extend(SEPARATORS.iter().filter(|&&c| text.contains(c)));
        self.blanks |= text.trim().contains(' ');
        self.quotes |= text.contains('"');
        let inner = text.trim_matches(',');
        let blanks = inner.matches(", ").count();
        self.commas[0] |= inner.matches(',').count() > blanks;
        self.commas[1] |= blanks > 0;
        self.commas[2] |= inner.len() != text.len();
    }

    /// Takes in why a value fits under no setting.
    pub fn lose(&mut self, reason: &str) {
        self.lost += 1;
        if self.reasons.len() < 2 {
            self.reasons.insert(reason.to_owned());
        }
    }

    /// Of `rows` rows, `values` of which have a value: whether all fit under no setting for one reason. That is no row at fault, but a way of
    /// writing; rows without a value say nothing about it, where it is not just that which is lacking.
    pub fn is_one_way_of_writing(&self, rows: u64, values: u64) -> bool {
        let all = match self.reasons.contains(NO_NULL) {
            true => rows,
            false => values,
        };
        all > 1 && self.lost == all && self.reasons.len() == 1
    }

    /// Adds what another reader saw.
    pub fn merge(&mut self, other: Self) {
        self.texts += other.texts;
        self.spelled.merge(other.spelled);
        self.lost += other.lost;
        self.reasons.extend(other.reasons);
        self.rewritten.merge(other.rewritten);
        self.counts |= other.counts;
        self.words |= other.words;
        self.blanks |= other.blanks;
        self.quotes |= other.quotes;
        self.separators.extend(other.separators);
        self.positions.extend(other.positions);
        for (mine, theirs) in self.commas.iter_mut().zip(other.commas) {
            *mine |= theirs;
        }
        for (number, count) in other.nothing {
            *self.nothing.entry(number).or_default() += count;
        }
    }

    /// Whether some position is no label's, because they count from 0.
    pub fn leaves_over(&self, labels: &[String]) -> bool {
        self.positions.contains(&0) && self.positions.contains(&labels.len())
    }

    /// Whether all texts at fault are empty.
    pub fn are_empty(&self) -> bool {
        self.texts == 0
    }

    /// What separates the elements of lists.
    pub fn separator(&self, table: &str, column: &str) -> Told<String> {
        let [alone, blank, edge] = self.commas;
        let others: Vec<char> = self.separators.iter().copied().collect();
        match (alone, blank, others.as_slice()) {
            _ if edge => {
                let (table, column) = (quoted(table), quoted(column));
                Err(format!(
                    "lists that begin or end with a comma, which `split:` would read as an element without text: UPDATE {table} SET {column} = \
                     trim({column}, ',') WHERE typeof({column}) = 'text' AND {column} NOT GLOB '[[{{]*' in the \
                     source takes it away"
                ))
            }
            _ if self.quotes => Err(
                "lists with quotation marks, which `split:` would keep as signs of the elements: make JSON arrays of them in the source"
                    .to_owned(),
            ),
            (false, false, []) if self.blanks => Err(
                "texts with blanks and without commas: state `split: \" \"` if blanks separate the elements, or `split: \",\"` if each text \
                 is one element"
                    .to_owned(),
            ),
            (_, false, []) => Ok(",".to_owned()),
            (false, true, []) => Ok(", ".to_owned()),
            (false, false, [one]) => Ok(one.to_string()),
            (true, true, _) => Err(
                "lists of which some have a blank behind the comma and some have none: state `split: \", \"` or `split: \",\"`; blanks stay with \
                 the elements"
                    .to_owned(),
            ),
            _ => {
                let shown = others.iter().map(|c| format!("`{}`", c.escape_default()));
                Err(format!(
                    "lists whose separator nobody can tell: {} occur{}; state it by `split:`",
                    shown.collect::<Vec<_>>().join(" and "),
                    if alone || blank { " beside commas" } else { "" }
                ))
            }
        }
    }

    /// Whether texts into `bytea` are the bytes of their text. Those that may spell bytes could be either.
    pub fn bytes_of_text(&self, table: &str, column: &str) -> Told<()> {
        self.spelled.are_text(table, column)
    }

    /// Whether numbers are positions in an enum's order from 0. Where they count from 1, with certainty, the label of each. Numbers in text
    /// beside words are the positions that the usual object mappers write, which count from 0.
    pub fn positions(
        &self,
        labels: &[String],
        table: &str,
        column: &str,
    ) -> Told<Vec<(String, String)>> {
        let from_one = self.positions.contains(&labels.len());
        let beside_words = self.words && !self.counts;
        if self.positions.contains(&0) || self.positions.is_empty() || !from_one && beside_words {
            return Ok(Vec::new());
        }
        if from_one {
            let named = self.positions.iter().filter_map(|position| {
                let label = labels.get(position.checked_sub(1)?)?;
                Some((position.to_string(), label.clone()))
            });
            return Ok(named.collect());
        }
        let (quoted_table, quoted_column) = (quoted(table), quoted(column));
        let example = self.positions.first().and_then(|position| {
            let here = printable(labels.get(*position)?, 40);
            let before = printable(labels.get(position.checked_sub(1)?)?, 40);
            Some(format!(
                " ({position} is {here} where they count from 0, {before} where they count from 1)"
            ))
        });
        Err(format!(
            "positions in the enum's order of which none is 0{}: state `enum: ordinal` if they count from 0; if they count from 1, UPDATE \
             {quoted_table} SET {quoted_column} = {quoted_column} - 1 WHERE (typeof({quoted_column}) = 'integer' OR typeof({quoted_column}) = \
             'text' AND {quoted_column} GLOB '[0-9]*' AND {quoted_column} NOT GLOB '*[^0-9]*') AND CAST({quoted_column} AS INTEGER) BETWEEN 1 \
             AND {} in the source, and then `enum: ordinal`",
            example.unwrap_or_default(),
            labels.len()
        ))
    }
}

/// Whether a value is the position one beyond an enum's last: where others count from 1 it is the last.
pub fn is_one_beyond(value: ValueRef<'_>, kind: &Kind) -> bool {
    let Kind::Enum(labels) = kind else {
        return false;
    };
    let position = match value {
        ValueRef::Integer(position) => usize::try_from(position).ok(),
        ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => None,
    };
    position == Some(labels.len()) && !labels.is_empty()
}

/// SQL that is true of numbers, and of text that is written as one: a statement that calculates would make zeros of any other text.
pub fn is_number(column: &str) -> String {
    format!(
        "(typeof({column}) IN ('integer', 'real') OR {column} GLOB '*[0-9]*' AND {column} NOT GLOB '*[^-.0-9]*' AND {column} NOT GLOB '?*-*' AND \
         {column} NOT GLOB '*.*.*')"
    )
}

/// Whether text is a list under some separator, commas at its ends apart.
pub fn is_list(value: ValueRef<'_>, converter: &Converter) -> bool {
    let (ValueRef::Text(bytes), Kind::Array { .. }) = (value, &converter.kind) else {
        return false;
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    if text.starts_with(['[', '{']) || converter.policy.split.is_some() {
        return false;
    }
    let inner = ValueRef::Text(text.trim_matches(',').as_bytes());
    let separators = SEPARATORS.iter().map(char::to_string);
    let mut separators = [", ".to_owned(), ",".to_owned()]
        .into_iter()
        .chain(separators);
    separators.any(|separator| {
        let mut tried = converter.clone();
        tried.policy.split = Some(separator);
        tried.encode(inner, &mut Vec::new()).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(values: &[ValueRef<'_>], kind: &Kind) -> Habits {
        let mut all = Habits::default();
        for value in values {
            // One reader each, as in a scan of many.
            let mut one = Habits::default();
            one.see(*value, kind);
            all.merge(one);
        }
        all
    }

    fn texts<'t>(values: &[&'t str]) -> Vec<ValueRef<'t>> {
        let values = values.iter();
        values
            .map(|value| ValueRef::Text(value.as_bytes()))
            .collect()
    }

    #[test]
    fn a_separator_is_told_by_all_lists() {
        let element = Box::new(Kind::Text(None));
        let array = Kind::Array {
            element,
            element_oid: 25,
        };
        for (lists, separator) in [
            (&["a,b", "c", ""][..], Some(",")),
            (&["a, b", "c, d"], Some(", ")),
            (&["a;b", "c"], Some(";")),
            (&["a|b"], Some("|")),
            (&["a"], Some(",")),
            (&["a, b", "c,d"], None),
            (&["a,b", "c;d"], None),
            (&["a|b", "c;d"], None),
            (&[",1,2,"], None),
            (&["openid profile", "read"], None),
            (&["New York,Paris"], Some(",")),
            (&["a,\"b,c\"", "d"], None),
        ] {
            let told = seen(&texts(lists), &array).separator("t", "c").ok();
            assert_eq!(told.as_deref(), separator, "{lists:?}");
        }
    }

    #[test]
    fn digits_that_may_spell_bytes_are_no_text_without_a_word() {
        for (values, is_text) in [
            (&["deadbeef", "00ff"][..], false),
            (&["\\x00ff", ""], false),
            (&["deadbeef", "secret"], false),
            (&["12", "cafe"], true),
            (&[""], true),
            (&["0xdeadbeef", "0x00ff"], false),
            (&["aGVsbG8gd29ybGQhIQ==", "c2VjcmV0"], false),
            (&["password"], true),
            (&["0XDEADBEEF", "hello"], false),
            (&["X'00FF'"], false),
            (&["\\X00FF"], false),
            (&["deadbeef\n"], false),
            (&["dead beef 00ff"], false),
            (&["aa:bb:cc:dd", "00-11-22-33"], false),
            (&["6018366c-f658-47a7-9ed3-4fe53a096533"], false),
            (&["c2VjcmV0IQ==\n", "abc"], false),
            (&["c2VjcmV0IGFuZCBzYWZl"], false),
            (&["c2VjcmV0IQ"], false),
            (&["-_8AESIzRFVmd4iZ"], false),
            (&["data:image/png;base64,iVBORw0K"], false),
            (&["2024-02-29", "2023-12-31"], true),
            (&["in_progress", "some-long-slug-of-an-article"], true),
            (&["HelloWorld", "InProgress", "iPhone12", "Version12"], true),
            (&["deadbeef", "sunshine", "moonlight"], false),
            (&["aGVsbG8=", "one text", "another text"], false),
            (&["AQIDBAUGBwg", "ERITFBUWFxg", "one text"], false),
            (&["YWJj", "ZGVm", "hello"], false),
            (&["URLs", "sunshine", "moonlight"], true),
            (&["a", "hello, world", "data: none", "x'y"], true),
        ] {
            let told = seen(&texts(values), &Kind::Bytea).bytes_of_text("t", "c");
            assert_eq!(told.is_ok(), is_text, "{values:?}: {told:?}");
        }
    }

    #[test]
    fn positions_count_from_the_number_that_occurs() {
        let labels = ["open", "closed", "gone"].map(str::to_owned);
        let kind = Kind::Enum(labels.to_vec().into());
        let told = |positions: &[i64]| {
            let values: Vec<_> = positions.iter().map(|n| ValueRef::Integer(*n)).collect();
            seen(&values, &kind).positions(&labels, "t", "c")
        };
        assert_eq!(told(&[0, 2]), Ok(Vec::new()));
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(
            told(&[1, 3]),
            Ok(vec![pair("1", "open"), pair("3", "gone")])
        );
        let why = told(&[1, 2]).expect_err("either");
        assert!(why.contains("1 is closed where they count from 0"), "{why}");
        let written = seen(&texts(&["1", "2"]), &kind).positions(&labels, "t", "c");
        assert_eq!(written, Err(why));
        let beside = seen(&texts(&["1", "Closed"]), &kind).positions(&labels, "t", "c");
        assert_eq!(beside, Ok(Vec::new()));
    }
}
