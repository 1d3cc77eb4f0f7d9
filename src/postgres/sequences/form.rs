//! How the default of a column makes its value of the number that a sequence gives, as far as the text of the default tells.
//!
//! Pure, over expressions as PostgreSQL shows them. Asking the server, and setting sequences, is [`super`]'s business.

/// What a default does with the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// The value is the number.
    Plain,
    /// The value is the number and something more.
    Beyond,
    /// The value is the number below zero.
    Negated,
    /// The value is text with the number in it.
    Text(Affixes),
    /// Something else, from which the number cannot be read back.
    Unread,
}

/// What stands around the number in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affixes {
    /// What stands before it; none where that is not always the same.
    pub prefix: Option<String>,
    /// What stands behind it; none where that is not known. It holds no digit then.
    pub suffix: Option<String>,
}

impl Affixes {
    /// A text of which only the number in it is known.
    pub const UNKNOWN: Self = Self {
        prefix: None,
        suffix: None,
    };

    /// A pattern whose only group is the number; understood by PostgreSQL and by the `regex` crate.
    pub fn pattern(&self) -> String {
        let before = match &self.prefix {
            Some(prefix) => format!("^{}0*", regex::escape(prefix)),
            None => String::new(),
        };
        let behind = match &self.suffix {
            Some(suffix) => regex::escape(suffix),
            None => "[^0-9]*".to_owned(),
        };
        format!("{before}([0-9]{{1,18}}){behind}$")
    }
}

impl Form {
    /// What this default does with the number of a column that holds numbers.
    pub fn of_number(expression: Option<&str>) -> Self {
        let Some(expression) = expression.filter(|text| text.contains(CALL)) else {
            return Self::Plain;
        };
        let expression = stripped(expression);
        if is_call(expression) {
            return Self::Plain;
        }
        if let Some(inner) = expression.strip_prefix('-') {
            return if is_call(stripped(inner)) {
                Self::Negated
            } else {
                Self::Unread
            };
        }
        let added = split(expression, " + ");
        let is_added = |part: &&&str| stripped(part).parse::<u32>().is_ok();
        let calls = added.iter().filter(|part| is_call(stripped(part))).count();
        if calls == 1 && added.iter().filter(is_added).count() + 1 == added.len() {
            return Self::Beyond;
        }
        Self::Unread
    }

    /// What this default does with the number of a column that holds text.
    pub fn of_text(expression: Option<&str>) -> Self {
        let Some(expression) = expression.filter(|text| text.contains(CALL)) else {
            return Self::Text(Affixes::UNKNOWN);
        };
        let mut parts = Vec::new();
        operands(expression, &mut parts);
        let asking: Vec<usize> = (0..parts.len())
            .filter(|at| parts[*at].contains(CALL))
            .collect();
        let [at] = asking[..] else {
            return Self::Unread;
        };
        if !is_digits(parts[at]) {
            return Self::Unread;
        }
        let joined = |parts: &[&str]| {
            let texts: Option<Vec<String>> = parts.iter().map(|part| constant(part)).collect();
            texts.map(|texts| texts.concat())
        };
        let suffix = joined(&parts[at + 1..]);
        match suffix {
            // A suffix with a digit at its start cannot be told from the number.
            Some(suffix) if !suffix.starts_with(|c: char| c.is_ascii_digit()) => {
                Self::Text(Affixes {
                    prefix: joined(&parts[..at]),
                    suffix: Some(suffix),
                })
            }
            Some(_) | None => Self::Unread,
        }
    }
}

const CALL: &str = "nextval(";

/// The expression with this number where it asks the sequence; none where it does not ask just once.
pub fn with_number(expression: &str, number: i64) -> Option<String> {
    let start = expression.find(CALL)?;
    let inside = start + CALL.len();
    let end = inside + closing(&expression[inside..])?;
    let (before, behind) = (&expression[..start], &expression[end + 1..]);
    (!behind.contains(CALL)).then(|| format!("{before}('{number}'::bigint){behind}"))
}

/// Whether this is a call of `nextval` and nothing else.
fn is_call(text: &str) -> bool {
    text.strip_prefix(CALL)
        .is_some_and(|inside| closing(inside) == Some(inside.len() - 1))
}

/// Whether this is the number written with digits, perhaps with zeros before it.
fn is_digits(text: &str) -> bool {
    let text = stripped(text);
    if is_call(text) {
        return true;
    }
    let arguments = |function: &str| {
        let inside = text.strip_prefix(function)?;
        let inside = inside.strip_suffix(')')?;
        Some(split(inside, ", "))
    };
    if let Some(padded) = arguments("lpad(") {
        return matches!(padded.as_slice(), [number, _, filler] if is_digits(number) && constant(filler).as_deref() == Some("0"));
    }
    if let Some(written) = arguments("to_char(") {
        let plain = |format: String| {
            format
                .strip_prefix("FM")
                .is_some_and(|digits| digits.chars().all(|c| matches!(c, '0' | '9')))
        };
        return matches!(written.as_slice(), [number, format] if is_digits(number) && constant(format).is_some_and(plain));
    }
    false
}

/// The operands of `||` and the arguments of `concat`, in order.
fn operands<'e>(expression: &'e str, all: &mut Vec<&'e str>) {
    let expression = stripped(expression);
    let mut parts = split(expression, " || ");
    if let [only] = parts.as_slice()
        && let Some(inside) = only.strip_prefix("concat(")
        && closing(inside) == Some(inside.len() - 1)
    {
        parts = split(&inside[..inside.len() - 1], ", ");
    }
    match parts.as_slice() {
        [only] => all.push(stripped(only)),
        several => several.iter().for_each(|part| operands(part, all)),
    }
}

/// The text of a literal.
fn constant(expression: &str) -> Option<String> {
    let text = stripped(expression);
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) {
        return Some(text.to_owned());
    }
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let plain = inner.replace("''", "");
    (!plain.contains('\'')).then(|| inner.replace("''", "'"))
}

/// Without parentheses around the whole and without casts behind it.
fn stripped(expression: &str) -> &str {
    let mut text = expression.trim();
    loop {
        let inner = text
            .strip_prefix('(')
            .filter(|inside| closing(inside) == Some(inside.len() - 1));
        let shorter = match inner {
            Some(inside) => &inside[..inside.len() - 1],
            None if split(text, " || ").len() > 1 || split(text, " + ").len() > 1 => return text,
            None if text.starts_with('-') => return text,
            None => split(text, "::").first().copied().unwrap_or(text),
        };
        if shorter.len() == text.len() {
            return text;
        }
        text = shorter.trim();
    }
}

/// Cuts the text at a separator, outside of quotes and parentheses.
fn split<'e>(text: &'e str, separator: &str) -> Vec<&'e str> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0usize, None);
    let mut skip_to = 0;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) => {
                if c == open {
                    quote = None;
                }
                continue;
            }
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                continue;
            }
            None if c == '(' => depth += 1,
            None if c == ')' => depth = depth.saturating_sub(1),
            None => {}
        }
        if depth == 0 && at >= skip_to && text[at..].starts_with(separator) {
            parts.push(&text[start..at]);
            start = at + separator.len();
            skip_to = start;
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Where the parenthesis that is open at the start closes, quotes observed.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') if depth == 0 => return Some(at),
            (None, ')') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Affixes, Form, with_number};

    fn text(prefix: Option<&str>, suffix: &str) -> Form {
        Form::Text(Affixes {
            prefix: prefix.map(str::to_owned),
            suffix: Some(suffix.to_owned()),
        })
    }

    #[test]
    fn text_around_a_number_is_taken_apart() {
        let call = "nextval('s'::regclass)";
        for (expression, form) in [
            (format!("('A'::text || {call})"), text(Some("A"), "")),
            (
                format!("(('ORD-'::text || {call}) || '-A1'::text)"),
                text(Some("ORD-"), "-A1"),
            ),
            (
                format!("('INV-'::text || lpad(({call})::text, 6, '0'::text))"),
                text(Some("INV-"), ""),
            ),
            (
                format!("('I''s'::text || to_char({call}, 'FM0000'::text))"),
                text(Some("I's"), ""),
            ),
            (
                format!("((to_char(now(), 'YYYY'::text) || '-'::text) || {call})"),
                text(None, ""),
            ),
            (format!("concat('V', {call})"), text(Some("V"), "")),
            (format!("({call})::character varying"), text(Some(""), "")),
            (format!("to_hex({call})"), Form::Unread),
            (format!("md5(({call})::text)"), Form::Unread),
            (format!("({call} || '0'::text)"), Form::Unread),
            (format!("({call} || clock_timestamp())"), Form::Unread),
        ] {
            assert_eq!(Form::of_text(Some(&expression)), form, "{expression}");
        }
        assert_eq!(Form::of_text(None), Form::Text(Affixes::UNKNOWN));
    }

    #[test]
    fn a_number_is_the_sequences_or_said_to_be_unread() {
        let call = "nextval('s'::regclass)";
        for (expression, form) in [
            (call.to_owned(), Form::Plain),
            (format!("({call})::integer"), Form::Plain),
            ("nextval(('s'::text)::regclass)".to_owned(), Form::Plain),
            ("0".to_owned(), Form::Plain),
            (format!("(- {call})"), Form::Negated),
            (format!("(- ({call})::integer)"), Form::Negated),
            (format!("({call} + 0)"), Form::Beyond),
            (format!("(1000 + {call})"), Form::Beyond),
            (format!("({call} - 5)"), Form::Unread),
            (format!("({call} * 10)"), Form::Unread),
            (format!("(- ({call} + 5))"), Form::Unread),
        ] {
            assert_eq!(Form::of_number(Some(&expression)), form, "{expression}");
        }
    }

    #[test]
    fn the_number_takes_the_place_of_the_call() {
        assert_eq!(
            with_number("('A'::text || nextval('s)'::regclass))", 7).as_deref(),
            Some("('A'::text || ('7'::bigint))")
        );
        assert_eq!(with_number("(nextval('a') + nextval('b'))", 7), None);
    }
}
