//! How the values of a column are written that do not fit as they are: as lists, as positions, as hexadecimal digits. A setting is only
//! suggested where all of them go by it and by no other; otherwise people are told what they have to decide.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::ValueRef;

use crate::postgres::quoted;
use crate::text::printable;
use crate::transfer::convert::Converter;
use crate::transfer::kind::Kind;
use crate::transfer::plan::rewritten::Rewritten;

/// Separators of lists, beside the comma.
const SEPARATORS: [char; 4] = [';', '|', '\n', '\t'];
/// Digits from which on text is likely to spell bytes.
const HEX_DIGITS: usize = 8;
/// Signs from which on text without a blank is likely to be base64.
const BASE64_DIGITS: usize = 24;

/// What was seen of the values at fault of one column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Habits {
    /// Texts that are not empty.
    texts: u64,
    /// Of them, those that could spell bytes by hexadecimal digits.
    hex: u64,
    /// Some of those are long enough, or marked, to be likely.
    likely_hex: bool,
    /// Of the texts, those that could spell bytes in base64.
    base64: u64,
    /// Some of those are long enough, or filled up, to be likely.
    likely_base64: bool,
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
            Kind::Bytea => self.see_hex(text),
            Kind::Array { .. } => self.see_list(text),
            Kind::Enum(labels) => match text.parse() {
                Ok(position) => self.see_position(position, labels.len()),
                Err(_) => self.words |= !text.is_empty(),
            },
            _ => {}
        }
    }

    fn see_hex(&mut self, text: &str) {
        let marked = text
            .strip_prefix("\\x")
            .or_else(|| text.strip_prefix("0x"))
            .or_else(|| text.strip_prefix("0X"));
        self.base64 += u64::from(is_base64(text));
        self.likely_base64 |= text.len() >= BASE64_DIGITS || text.ends_with('=');
        let digits = marked.unwrap_or(text);
        let pairs = digits.len().is_multiple_of(2);
        if pairs && !text.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            self.hex += 1;
            self.likely_hex |= marked.is_some() || digits.len() >= HEX_DIGITS;
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

    /// Whether `rows` values fit under no setting, all for one reason: not faulty rows, but a way of writing.
    pub fn is_one_way_of_writing(&self, rows: u64) -> bool {
        self.lost == rows && self.reasons.len() == 1
    }

    /// Adds what another reader saw.
    pub fn merge(&mut self, other: Self) {
        self.texts += other.texts;
        self.hex += other.hex;
        self.lost += other.lost;
        self.reasons.extend(other.reasons);
        self.rewritten.merge(other.rewritten);
        self.counts |= other.counts;
        self.words |= other.words;
        self.likely_hex |= other.likely_hex;
        self.base64 += other.base64;
        self.likely_base64 |= other.likely_base64;
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
                     trim({column}, ',') in the source takes it away"
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

    /// Whether texts into `bytea` are the bytes of their text. Those of hexadecimal digits alone could be either.
    pub fn bytes_of_text(&self, table: &str, column: &str) -> Told<()> {
        let (table, column) = (quoted(table), quoted(column));
        if self.likely_hex && self.hex == self.texts {
            return Err(format!(
                "texts of hexadecimal digits alone: if they spell bytes, UPDATE {table} SET {column} = unhex(replace(replace({column}, '\\x', \
                 ''), '0x', '')) WHERE typeof({column}) = 'text' in the source makes those of them (SQLite 3.41 or newer); if the digits \
                 themselves are meant, state `bytes: utf8`"
            ));
        }
        if self.likely_base64 && self.base64 == self.texts {
            return Err(format!(
                "texts that could be base64: if they spell bytes, UPDATE {table} SET {column} = base64({column}) WHERE typeof({column}) = \
                 'text' in SQLite's own shell makes those of them (3.41 or newer); if the text itself is meant, state `bytes: utf8`"
            ));
        }
        Ok(())
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
             {quoted_table} SET {quoted_column} = {quoted_column} - 1 WHERE {} in the source, and then `enum: ordinal`",
            example.unwrap_or_default(),
            is_number(&quoted_column)
        ))
    }
}

/// Whether text is written in base64, filled up to groups of four.
fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let filled = text.len() - body.len() <= 2 && text.len().is_multiple_of(4);
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    filled && !body.is_empty() && body.bytes().all(digit)
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
        "(typeof({column}) IN ('integer', 'real') OR {column} GLOB '[0-9]*' AND {column} NOT GLOB '*[^0-9.]*')"
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
            (&["deadbeef", "secret"], true),
            (&["12", "cafe"], true),
            (&[""], true),
            (&["0xdeadbeef", "0x00ff"], false),
            (&["aGVsbG8gd29ybGQhIQ==", "c2VjcmV0"], false),
            (&["password"], true),
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
