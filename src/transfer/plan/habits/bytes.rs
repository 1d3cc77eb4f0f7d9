//! Texts on their way into `bytea` that may spell bytes, in hexadecimal digits or in base64: how many do, and the statement that makes bytes of
//! those, and of those alone. What counts as spelled here is what the statement's condition takes, sign by sign: change both or none.

use std::collections::BTreeSet;

use super::Told;
use crate::postgres::quoted;
use crate::text::printable;

/// Signs from which on text is long enough for its way of writing to tell something.
const LONG: usize = 8;
/// Digits from which on letters and digits alone are likely to be base64.
const BASE64_DIGITS: usize = 24;
/// Digits before the end of a line, where base64 is wrapped: 60 by Ruby, 64 in PEM, 76 in mail and by Python.
const LINE: usize = 60;
/// Signs of an example.
const SHOWN: usize = 40;
const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// How digits are wrapped up, as far as a statement has to take that away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// `0x…`, `\x…`
    Marked,
    /// `x'…'`
    Quoted,
    /// Blanks and ends of lines at the ends, and between pairs of digits.
    Blanks,
    /// `aa:bb:cc`, `aa-bb-cc`, and the dashes of a UUID.
    Separated,
    /// Lines of base64, or an end of a line behind it.
    Lines,
    /// `-` and `_` in place of `+` and `/`.
    Url,
    /// `data:…;base64,`
    Data,
}

/// A text that may spell bytes.
#[derive(Debug, PartialEq, Eq)]
struct Spelling {
    forms: Vec<Form>,
    /// By its length or its marks it is likely to.
    likely: bool,
    /// Letters of both cases stand in it as in few words, capitals in a row among them: where most texts are so, they are no words.
    odd: bool,
}

/// What was seen of one way of writing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Way {
    /// Texts that it may have written.
    count: u64,
    /// Of them, those that it is likely to have.
    likely: u64,
    /// Of them, those that are odd as words.
    odd: u64,
    forms: BTreeSet<Form>,
    /// A likely one, and one that is not written so: of several the first by their order, whoever saw them.
    examples: [Option<String>; 2],
}

/// What was seen of the texts of one column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spelled {
    /// Texts that are not empty.
    texts: u64,
    hex: Way,
    base64: Way,
}

impl Spelled {
    /// Takes a text in.
    pub fn see(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let (hex, mut base64) = (hex(text), base64(text));
        // Most hexadecimal digits are digits of base64, too.
        if let (Some(hex), Some(base64)) = (&hex, &mut base64) {
            base64.likely &= !hex.likely;
        }
        self.texts += 1;
        self.hex.see(hex, text);
        self.base64.see(base64, text);
    }

    /// Adds what another reader saw.
    pub fn merge(&mut self, other: Self) {
        self.texts += other.texts;
        self.hex.merge(other.hex);
        self.base64.merge(other.base64);
    }

    /// Whether texts are the bytes of their text, for all that can be told: asked as soon as one is likely to spell bytes, whatever the others are,
    /// for that one would be wrong; and where most are odd as words.
    pub fn are_text(&self, table: &str, column: &str) -> Told<()> {
        let likely = self.hex.likely + self.base64.likely;
        let are_odd = self.base64.odd > 1 && self.base64.odd * 2 >= self.texts;
        if likely == 0 && !are_odd {
            return Ok(());
        }
        let (table, column) = (quoted(table), quoted(column));
        let is_hex_first = likely > 0 && self.hex.likely >= self.base64.likely;
        let (what, statement) = if is_hex_first {
            let bytes = of_hex(&column, &self.hex.forms);
            let what = self.hex.told(self.texts, "are hexadecimal digits");
            (
                what,
                format!(
                    "UPDATE {table} SET {column} = {bytes} WHERE {} in the source makes those of them (SQLite 3.41 or newer)",
                    is_hex(&column, &self.hex.forms)
                ),
            )
        } else {
            let digits = digits_of_base64(&column, &self.base64.forms);
            let what = self.base64.told(self.texts, "could be base64");
            (
                what,
                format!(
                    "UPDATE {table} SET {column} = base64({digits}) WHERE {} in SQLite's own shell makes those of them (3.41 or newer)",
                    is_base64(&column, &self.base64.forms)
                ),
            )
        };
        Err(format!(
            "{what}: if they spell bytes, {statement}; if the text itself is meant, state `bytes: utf8`"
        ))
    }
}

impl Way {
    fn see(&mut self, spelling: Option<Spelling>, text: &str) {
        let Some(spelling) = spelling else {
            self.example(1, text);
            return;
        };
        self.count += 1;
        self.forms.extend(spelling.forms);
        self.likely += u64::from(spelling.likely);
        self.odd += u64::from(spelling.odd);
        if spelling.likely || spelling.odd {
            self.example(0, text);
        }
    }

    fn example(&mut self, place: usize, text: &str) {
        let known = self.examples[place].as_deref();
        if known.is_some_and(|known| known <= text) {
            return;
        }
        self.examples[place] = Some(text.chars().take(SHOWN + 1).collect());
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.likely += other.likely;
        self.odd += other.odd;
        self.forms.extend(other.forms);
        for (place, example) in other.examples.into_iter().enumerate() {
            if let Some(example) = example {
                self.example(place, &example);
            }
        }
    }

    /// How many texts are written so, with one of them and one of the others.
    fn told(&self, texts: u64, what: &str) -> String {
        let shown = |place: usize| {
            let example = self.examples[place].as_deref().unwrap_or_default();
            printable(example, SHOWN)
        };
        let others = match texts.saturating_sub(self.count) {
            0 => String::new(),
            others => format!(", and {others} not, such as {}", shown(1)),
        };
        format!(
            "{} of {texts} text(s) {what}, such as {}{others}",
            self.count,
            shown(0)
        )
    }
}

/// Text of pairs of hexadecimal digits.
fn hex(text: &str) -> Option<Spelling> {
    let mut forms = Vec::new();
    let mut body = text.trim_matches(BLANKS);
    if body.is_empty() {
        return None;
    }
    if body.len() < text.len() {
        forms.push(Form::Blanks);
    }
    let mark = body.get(..2).unwrap_or_default().to_ascii_lowercase();
    let is_quoted = mark == "x'" && body.len() > 2 && body.ends_with('\'');
    if is_quoted {
        forms.push(Form::Quoted);
        body = &body[2..body.len() - 1];
    } else if matches!(mark.as_str(), "0x" | "\\x") {
        forms.push(Form::Marked);
        body = &body[2..];
    }
    let is_separator = |byte: u8| matches!(byte, b':' | b'-');
    let is_blank = |byte: u8| BLANKS.contains(&char::from(byte));
    let (mut pairs, mut half) = (0, false);
    for byte in body.bytes() {
        if byte.is_ascii_hexdigit() {
            pairs += usize::from(half);
            half = !half;
        } else if half || !(is_separator(byte) || is_blank(byte)) {
            return None;
        }
    }
    if half {
        return None;
    }
    if body.bytes().any(is_separator) {
        let is_uuid = pairs == 16 && body.len() == 36;
        if body.len() + 1 != pairs * 3 && !is_uuid {
            return None;
        }
        forms.push(Form::Separated);
    }
    if body.bytes().any(is_blank) {
        forms.push(Form::Blanks);
    }
    let is_marked = forms.contains(&Form::Marked) || is_quoted;
    Some(Spelling {
        forms,
        likely: is_marked || pairs * 2 >= LONG,
        odd: false,
    })
}

/// SQL for the text between marks, of a column that is quoted already.
fn between_marks(column: &str, forms: &BTreeSet<Form>) -> String {
    let text = match forms.contains(&Form::Blanks) {
        true => format!("trim({column}, ' ' || char(9, 10, 13))"),
        false => column.to_owned(),
    };
    let mut cases = String::new();
    if forms.contains(&Form::Marked) {
        cases.push_str(&format!(
            " WHEN lower(substr({text}, 1, 2)) IN ('0x', '\\x') THEN substr({text}, 3)"
        ));
    }
    if forms.contains(&Form::Quoted) {
        cases.push_str(&format!(
            " WHEN lower({text}) GLOB 'x''*''' THEN substr({text}, 3, length({text}) - 3)"
        ));
    }
    match cases.is_empty() {
        true => text,
        false => format!("CASE{cases} ELSE {text} END"),
    }
}

/// SQL for the bytes that hexadecimal digits spell: NULL where they spell none.
fn of_hex(column: &str, forms: &BTreeSet<Form>) -> String {
    let body = between_marks(column, forms);
    let has = |form| forms.contains(&form);
    match (has(Form::Separated), has(Form::Blanks)) {
        (false, false) => format!("unhex({body})"),
        (true, false) => format!("unhex({body}, ':-')"),
        (false, true) => format!("unhex({body}, ' ' || char(9, 10, 13))"),
        (true, true) => format!("unhex({body}, ':- ' || char(9, 10, 13))"),
    }
}

/// SQL that is true of the texts that [`hex`] takes.
fn is_hex(column: &str, forms: &BTreeSet<Form>) -> String {
    let bytes = of_hex(column, forms);
    // To SQL a text ends at a NUL.
    let mut all = vec![format!(
        "typeof({column}) = 'text' AND instr({column}, char(0)) = 0 AND {bytes} IS NOT NULL"
    )];
    if forms.contains(&Form::Blanks) {
        all.push(format!("trim({column}, ' ' || char(9, 10, 13)) <> ''"));
    }
    if forms.contains(&Form::Separated) {
        let body = between_marks(column, forms);
        all.push(format!(
            "({body} NOT GLOB '*[:-]*' OR length({body}) = 3 * length({bytes}) - 1 OR length({body}) = 36 AND length({bytes}) = 16)"
        ));
    }
    all.join(" AND ")
}

/// Text in base64, filled up to groups of four or not, as an encoder writes it: without bits left over.
fn base64(text: &str) -> Option<Spelling> {
    let mut forms = Vec::new();
    let mut body = text;
    if let Some((head, rest)) = text.split_once(',') {
        let head = head.to_ascii_lowercase();
        if !(head.starts_with("data:") && head.ends_with(";base64")) || head.contains('\0') {
            return None;
        }
        forms.push(Form::Data);
        body = rest;
    }
    let end = body.trim_end_matches(['\r', '\n']);
    if end.find('\n').is_some_and(|at| at < LINE) {
        return None;
    }
    let has_url = body.contains(['-', '_']);
    if body.contains(['\r', '\n']) {
        forms.push(Form::Lines);
    }
    let written: Vec<u8> = body
        .bytes()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    let filling = written
        .iter()
        .rev()
        .take_while(|byte| **byte == b'=')
        .count();
    let digits = &written[..written.len() - filling];
    let values: Vec<u8> = digits
        .iter()
        .map(|byte| digit(*byte))
        .collect::<Option<_>>()?;
    let (last, beyond) = (*values.last()?, values.len() % 4);
    let left_over = match beyond {
        0 => 0,
        2 => last & 0b1111,
        3 => last & 0b11,
        _ => return None,
    };
    if left_over != 0 || filling > (4 - beyond) % 4 {
        return None;
    }
    let has = |is: fn(&u8) -> bool| digits.iter().any(is);
    let is_mixed =
        has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    if has_url {
        // Words that are joined by dashes are none.
        if !is_mixed {
            return None;
        }
        forms.push(Form::Url);
    }
    let is_filled = filling > 0 && written.len().is_multiple_of(4);
    let is_plain = digits.iter().all(u8::is_ascii_alphanumeric);
    let is_long = beyond == 0 && digits.len() >= BASE64_DIGITS && is_plain;
    let likely = is_filled
        || forms.contains(&Form::Data)
        || is_long
        || digits.len() >= LONG && is_no_word(digits);
    let in_a_row = digits
        .windows(2)
        .any(|pair| pair.iter().all(u8::is_ascii_uppercase));
    Some(Spelling {
        forms,
        likely,
        odd: in_a_row && has(u8::is_ascii_lowercase),
    })
}

/// What a digit of base64 stands for, under both of its alphabets.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Whether letters of both cases stand among each other as in no words: with digits between them, or with capitals in a row and single ones.
fn is_no_word(digits: &[u8]) -> bool {
    let pairs = || digits.windows(2);
    let is_upper = |byte: u8| byte.is_ascii_uppercase();
    let is_lower = |byte: u8| byte.is_ascii_lowercase();
    let both =
        digits.iter().any(u8::is_ascii_uppercase) && digits.iter().any(u8::is_ascii_lowercase);
    let inside = pairs()
        .any(|pair| (pair[0].is_ascii_digit() || pair[0] == b'+') && pair[1].is_ascii_alphabetic());
    let in_a_row = pairs().any(|pair| is_upper(pair[0]) && is_upper(pair[1]));
    let changes = pairs().filter(|pair| {
        is_upper(pair[0]) && is_lower(pair[1]) || is_lower(pair[0]) && is_upper(pair[1])
    });
    both && (inside || in_a_row && changes.count() >= 3)
}

/// SQL for the digits of base64 in a column that is quoted already, in the alphabet that SQLite's shell reads.
fn digits_of_base64(column: &str, forms: &BTreeSet<Form>) -> String {
    let mut digits = behind_head(column, forms);
    if forms.contains(&Form::Lines) {
        digits = format!("replace(replace({digits}, char(10), ''), char(13), '')");
    }
    if forms.contains(&Form::Url) {
        digits = format!("replace(replace({digits}, '-', '+'), '_', '/')");
    }
    digits
}

fn behind_head(column: &str, forms: &BTreeSet<Form>) -> String {
    match forms.contains(&Form::Data) {
        true => format!("substr({column}, instr({column}, ',') + 1)"),
        false => column.to_owned(),
    }
}

/// SQL that is true of the texts that [`base64`] takes: what they are read as is written so again.
fn is_base64(column: &str, forms: &BTreeSet<Form>) -> String {
    let (behind, digits) = (behind_head(column, forms), digits_of_base64(column, forms));
    let mut all = vec![format!("typeof({column}) = 'text' AND {digits} <> ''")];
    if forms.contains(&Form::Data) {
        all.push(format!(
            "({column} NOT LIKE '%,%' OR {column} LIKE 'data:%;base64,%') AND instr({column}, char(0)) = 0"
        ));
    }
    if forms.contains(&Form::Lines) {
        all.push(format!(
            "instr(rtrim({behind}, char(10, 13)), char(10)) NOT BETWEEN 1 AND {LINE}"
        ));
    }
    if forms.contains(&Form::Url) {
        all.push(format!(
            "({behind} NOT GLOB '*[-_]*' OR {behind} GLOB '*[A-Z]*' AND {behind} GLOB '*[a-z]*' AND {behind} GLOB '*[0-9]*')"
        ));
    }
    all.push(format!(
        "replace(base64(base64({digits})), char(10), '') IN ({digits}, {digits} || '=', {digits} || '==')"
    ));
    all.join(" AND ")
}
