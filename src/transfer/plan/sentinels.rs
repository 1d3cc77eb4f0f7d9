//! Values that usually stand for something else: `0` and `-1` for "never", .NET's `DateTime.MaxValue` for "for ever", the empty text for
//! "nothing", an enum's label in another spelling. Only ever suggested, as `values:`, and only for values that do not fit otherwise.

use rusqlite::types::ValueRef;

use crate::runbook::transfer::Replacement;
use crate::transfer::convert::Converter;
use crate::transfer::convert::stands_for::key;
use crate::transfer::kind::Kind;
use crate::transfer::plan::units::World;

/// The end of the year 9999 in s, ms and us: in .NET after every moment, elsewhere a moment like any other.
const YEAR_9999: [i64; 3] = [
    253_402_300_799,
    253_402_300_799_999,
    253_402_300_799_999_999,
];
/// The end of the year 9999 in .NET's ticks, those of UTC in its binary form and Entity Framework's offsets, and the largest integer: after
/// every moment.
const LAST: [i64; 4] = [
    3_155_378_975_999_999_999,
    3_155_378_975_999_999_999 | 1 << 62,
    3_155_378_975_999_999 << 11,
    i64::MAX,
];
/// The start of the year 1 as UTC's ticks in .NET's binary form, and the smallest integer: before every moment.
const FIRST: [i64; 2] = [1 << 62, i64::MIN];
/// The start of the year 1 in s, ms and us: in .NET before every moment, in Go a time that nobody set.
const YEAR_1: [i64; 3] = [
    -62_135_596_800,
    -62_135_596_800_000,
    -62_135_596_800_000_000,
];
/// How programs and people write that there is nothing.
pub const NOTHING: [&str; 8] = ["", "null", "NULL", "None", "nil", "-", "N/A", "n/a"];

/// What a value that does not fit seems to stand for: its key in `values:`, and that.
pub fn of(
    value: ValueRef<'_>,
    converter: &Converter,
    world: World,
) -> Option<(String, Replacement)> {
    let (text, by) = meaning(value, converter, world)?;
    let fits = by != Replacement::Null || takes_null(converter);
    fits.then_some((text, by))
}

/// The key of a value that seems to stand for none where the target wants one: NULL is out of the question, and 1970 was not meant.
pub fn nothing_of(value: ValueRef<'_>, converter: &Converter, world: World) -> Option<String> {
    let (text, by) = meaning(value, converter, world)?;
    (by == Replacement::Null && !takes_null(converter)).then_some(text)
}

/// Whether a value that stands for no value has a place in the column: NULL, or the default that NULL becomes.
fn takes_null(converter: &Converter) -> bool {
    !converter.not_null || converter.policy.null_default && converter.default.is_some()
}

/// What a value seems to stand for, whether or not the target takes it.
pub fn meaning(
    value: ValueRef<'_>,
    converter: &Converter,
    world: World,
) -> Option<(String, Replacement)> {
    let text = key(value)?.into_owned();
    let is_moment = matches!(
        converter.kind,
        Kind::Date | Kind::Timestamp(_) | Kind::TimestampTz(_)
    );
    let by = match &converter.kind {
        _ if is_moment => moment(&text, world)?,
        Kind::Bool if text == "-1" => Replacement::Value("1".to_owned()),
        Kind::Enum(labels) => match label(&text, labels) {
            Some(label) => Replacement::Value(label.to_owned()),
            None => nothing(&text)?,
        },
        Kind::Array { .. } if text == "null" => nothing(&text)?,
        // The empty text is the empty list, or a text like any other.
        Kind::Text(_) | Kind::Char(_) | Kind::Bytea | Kind::Array { .. } => return None,
        // JSON has a null of its own.
        Kind::Json | Kind::Jsonb if text == "null" => return None,
        _ => nothing(&text)?,
    };
    Some((text, by))
}

fn nothing(text: &str) -> Option<Replacement> {
    NOTHING.contains(&text).then_some(Replacement::Null)
}

fn moment(text: &str, world: World) -> Option<Replacement> {
    if let Ok(number) = text.parse::<i64>() {
        return match number {
            0 | -1 => Some(Replacement::Null),
            number if LAST.contains(&number) => Some(Replacement::Infinity),
            number if world.dotnet && YEAR_9999.contains(&number) => Some(Replacement::Infinity),
            number if FIRST.contains(&number) || world.dotnet && YEAR_1.contains(&number) => {
                Some(Replacement::MinusInfinity)
            }
            _ => None,
        };
    }
    match text {
        "infinity" => return Some(Replacement::Infinity),
        "-infinity" => return Some(Replacement::MinusInfinity),
        _ => {}
    }
    // `DateTime.MaxValue` has seven nines; with fewer it is a moment like any other.
    let is_last = text.len() >= 27
        && text.starts_with("9999-12-31")
        && text[11..].starts_with("23:59:59.9999999");
    if is_last {
        return Some(Replacement::Infinity);
    }
    if is_zero_date(text) {
        return Some(Replacement::Null);
    }
    nothing(text)
}

/// MySQL's day that is none, alone or with a time of day, however it is written.
fn is_zero_date(text: &str) -> bool {
    let time = text.strip_prefix("0000-00-00");
    time.is_some_and(|time| {
        time.chars()
            .all(|c| c.is_ascii_digit() || " T:.+-Z".contains(c))
    })
}

/// Text in small letters, without the blanks, dashes and underscores that stand between words. Other signs mean something: C# and C++.
fn bare(text: &str) -> String {
    let letters: Vec<char> = text.trim().chars().collect();
    let separates = |at: usize| {
        let (before, after) = (at.checked_sub(1).map(|at| letters[at]), letters.get(at + 1));
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let number = |c: Option<char>| c.is_some_and(char::is_numeric);
        let after = after.copied();
        word(before) && word(after) && !(number(before) && number(after))
    };
    let kept = letters
        .iter()
        .enumerate()
        .filter(|(at, c)| !(matches!(c, ' ' | '-' | '_') && separates(*at)));
    kept.flat_map(|(_, c)| c.to_lowercase()).collect()
}

/// The one label that differs from the text in letter case and in what separates words alone.
fn label<'l>(text: &str, labels: &'l [String]) -> Option<&'l str> {
    let wanted = bare(text);
    let mut alike = labels
        .iter()
        .filter(|label| !wanted.is_empty() && bare(label) == wanted);
    match (alike.next(), alike.next()) {
        (Some(label), None) => Some(label),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::transfer::ColumnPolicy;

    fn meaning(value: ValueRef<'_>, kind: Kind, not_null: bool) -> Option<Replacement> {
        let converter = Converter {
            kind,
            policy: ColumnPolicy::default(),
            zone: None,
            not_null,
            default: None,
        };
        of(value, &converter, World::default()).map(|(_, by)| by)
    }

    #[test]
    fn what_stands_for_something_else_is_known() {
        let text = |text: &'static str| ValueRef::Text(text.as_bytes());
        let at = Kind::TimestampTz(6);
        for (value, expected) in [
            (ValueRef::Integer(0), Some(Replacement::Null)),
            (ValueRef::Real(0.0), Some(Replacement::Null)),
            (ValueRef::Integer(-1), Some(Replacement::Null)),
            (ValueRef::Integer(1), None),
            (ValueRef::Integer(253_402_300_799_999), None),
            (
                ValueRef::Integer(3_155_378_975_999_999_999),
                Some(Replacement::Infinity),
            ),
            (ValueRef::Integer(-62_135_596_800), None),
            (
                ValueRef::Integer(i64::MIN),
                Some(Replacement::MinusInfinity),
            ),
            (
                text("9999-12-31 23:59:59.9999999"),
                Some(Replacement::Infinity),
            ),
            (
                text("9999-12-31 23:59:59.9999999+00:00"),
                Some(Replacement::Infinity),
            ),
            (text("9999-12-31 23:59:59.999"), None),
            (text("0000-00-00 00:00:00"), Some(Replacement::Null)),
            (text("0000-00-00T00:00:00.000Z"), Some(Replacement::Null)),
            (text("0000-00-00"), Some(Replacement::Null)),
            (text("0000-00-00 or later"), None),
            (text("0"), Some(Replacement::Null)),
            (text("-"), Some(Replacement::Null)),
            (text("N/A"), Some(Replacement::Null)),
            (text("- 5"), None),
            (text("infinity"), Some(Replacement::Infinity)),
            (text(""), Some(Replacement::Null)),
            (text("soon"), None),
        ] {
            assert_eq!(meaning(value, at.clone(), false), expected, "{value:?}");
        }
        let of_dotnet = Converter {
            kind: at.clone(),
            policy: ColumnPolicy::default(),
            zone: None,
            not_null: false,
            default: None,
        };
        let dotnet = World {
            dotnet: true,
            ..World::default()
        };
        let last = of(ValueRef::Integer(253_402_300_799), &of_dotnet, dotnet);
        assert_eq!(last.map(|(_, by)| by), Some(Replacement::Infinity));
        assert_eq!(meaning(ValueRef::Integer(0), at, true), None, "NOT NULL");
        let json = |word| meaning(text(word), Kind::Jsonb, false);
        assert_eq!(json("null"), None);
        assert_eq!(json("None"), Some(Replacement::Null));
        assert_eq!(
            meaning(text(""), Kind::Int4, false),
            Some(Replacement::Null)
        );
        assert_eq!(meaning(text(""), Kind::Text(None), false), None);
        assert_eq!(meaning(ValueRef::Integer(0), Kind::Int4, false), None);
        let labels = ["in_progress", "done", "Done"].map(str::to_owned).to_vec();
        let status = Kind::Enum(labels.into());
        assert_eq!(
            meaning(text("InProgress"), status.clone(), false),
            Some(Replacement::Value("in_progress".to_owned()))
        );
        assert_eq!(meaning(text("DONE"), status, false), None, "two are alike");
        let labels = ["C++", "A+", "1", "12", "O-"].map(str::to_owned).to_vec();
        let signs = Kind::Enum(labels.into());
        for other in ["C#", "A-", "-1", "1-2", "A", "O"] {
            assert_eq!(meaning(text(other), signs.clone(), false), None, "{other}");
        }
        assert_eq!(
            meaning(text("c++"), signs, false),
            Some(Replacement::Value("C++".to_owned()))
        );
    }
}
