//! One value from PostgreSQL's own text back into what the application's SQLite file holds, in the column's [`Form`].
//!
//! Nothing here is believed: whatever comes out is read by the checker (`parity`), which must find it equal to what PostgreSQL
//! wrote. Where the form cannot hold the value (a column of whole seconds, and PostgreSQL has microseconds), that is said, never
//! rounded off in silence. So is a value that SQLite would change when it goes into the column. Settings of the session that wrote the
//! text: UTC, ISO dates, ISO 8601 intervals, `bytea` in hex.

mod array;
mod edges;
mod exactness;
mod kept;
mod moments;

pub use exactness::{Exactness, Exception};

use super::cell::{Cell, Class};
use super::form::{Affinity, Form, Spelling, affinity};
use crate::parity::{Canonical, Rule, Taken, ValueKind as Kind, from_source, from_target};
use crate::runbook::transfer::{Bytes, ColumnPolicy, GuidBytes, Replacement, Unsigned, Zone};

/// A value on its way back.
#[derive(Debug, Clone, PartialEq)]
pub enum Back {
    /// Equal to what PostgreSQL has.
    Exact(Cell),
    /// The nearest that the column's form can hold.
    Nearest(Cell),
    /// The column's form has no such value.
    None,
}

/// How the values of one column come back.
#[derive(Debug, Clone)]
pub struct Reverse {
    rule: Rule,
    form: Form,
    /// What the application writes for NULL, where it has a value of its own for that and no NULL.
    null: Cell,
    /// What SQLite would rather have in this column.
    affinity: Affinity,
}

impl Reverse {
    /// For a column whose type in the target is `type_name` with `modifier` (as in `pg_attribute`), whose declared type in SQLite is
    /// `declared`, in the form of `examples`.
    pub fn new(
        type_name: &str,
        modifier: i32,
        policy: &ColumnPolicy,
        zone: Option<Zone>,
        declared: &str,
        examples: &[Cell],
    ) -> Self {
        let rule = Rule {
            kind: Kind::of(type_name, modifier),
            policy: policy.clone(),
            zone: policy.zone.or(zone),
            default: None,
        };
        Self::of(&rule, declared, examples)
    }

    /// By a rule of the checker's.
    pub(crate) fn of(rule: &Rule, declared: &str, examples: &[Cell]) -> Self {
        let fitting = |cell: &&Cell| {
            let taken = canonical(cell, rule, &mut Canonical::default());
            matches!(taken, Taken::Exact | Taken::ByPolicy)
        };
        let examples: Vec<Cell> = examples.iter().filter(fitting).cloned().collect();
        let meaning = |cell: &Cell| stands_for(cell, &rule.policy);
        let own_null = examples
            .iter()
            .find(|cell| meaning(cell) == Some(&Replacement::Null));
        let has_null = examples.contains(&Cell::Null);
        let ordinary: Vec<Cell> = examples
            .iter()
            .filter(|cell| meaning(cell).is_none())
            .cloned()
            .collect();
        Self {
            rule: rule.clone(),
            form: Form::learn(&rule.kind, &rule.policy, declared, &ordinary),
            null: own_null
                .filter(|_| !has_null)
                .cloned()
                .unwrap_or(Cell::Null),
            affinity: affinity(declared),
        }
    }

    /// The value of this text; `None` is NULL.
    pub fn value(&self, text: Option<&str>) -> Back {
        let Some(text) = text else {
            return Back::Exact(self.null.clone());
        };
        if let Some(cell) = self.endless(text) {
            return Back::Exact(cell);
        }
        let mut nearest = None;
        for class in self.classes() {
            let Some(cell) = self.written(text, class) else {
                continue;
            };
            if self.is_equal(&cell, text) {
                return Back::Exact(cell);
            }
            nearest.get_or_insert(cell);
        }
        nearest.map_or(Back::None, Back::Nearest)
    }

    /// What stands for infinity here, if the text is that.
    fn endless(&self, text: &str) -> Option<Cell> {
        let meant = match text {
            "infinity" => Replacement::Infinity,
            "-infinity" => Replacement::MinusInfinity,
            _ => return None,
        };
        let values = self.rule.policy.values.iter();
        let cells = values.filter(|(_, by)| **by == meant).map(|(from, _)| {
            match (self.form.class, from.parse::<i64>(), from.parse::<f64>()) {
                (Class::Integer, Ok(number), _) => Cell::Integer(number),
                (Class::Real, _, Ok(number)) => Cell::Real(number),
                _ => Cell::text(from.as_str()),
            }
        });
        cells.into_iter().find(|cell| self.is_equal(cell, text))
    }

    /// The form's class; others only where SQLite itself does not mind: a number for a number, text in a column of text. A class
    /// that the application has never met in this column is not tried for the sake of a digit.
    fn classes(&self) -> Vec<Class> {
        let mut classes = vec![self.form.class];
        match (&self.rule.kind, self.form.class) {
            (Kind::Numeric { .. } | Kind::Float64 | Kind::Float32, Class::Integer) => {
                classes.push(Class::Real);
            }
            (Kind::Numeric { .. }, Class::Real) => classes.push(Class::Integer),
            (Kind::Text | Kind::Verbatim | Kind::JsonText | Kind::Padded | Kind::Json, class)
                if class != Class::Text =>
            {
                classes.push(Class::Text);
            }
            _ => {}
        }
        classes
    }

    /// Whether the checker takes both for the same value, once the column has taken the cell.
    fn is_equal(&self, cell: &Cell, text: &str) -> bool {
        let (mut here, mut there) = (Canonical::default(), Canonical::default());
        let kept = kept::changed(cell, self.affinity);
        let taken = canonical(kept.as_ref().unwrap_or(cell), &self.rule, &mut here);
        let read = from_target(Some(text.as_bytes()), &self.rule.kind, &mut there);
        matches!(taken, Taken::Exact | Taken::ByPolicy)
            && read.is_ok()
            && here.bytes() == there.bytes()
    }

    fn written(&self, text: &str, class: Class) -> Option<Cell> {
        let kind = &self.rule.kind;
        let is_own = matches!(
            kind,
            Kind::Bytes | Kind::Boolean | Kind::Uuid | Kind::Json | Kind::JsonText
        );
        if class == Class::Blob && !is_own && self.rule.policy.bytes == Some(Bytes::Text) {
            return match self.written(text, Class::Text)? {
                Cell::Text(bytes) => Some(Cell::Blob(bytes)),
                other => Some(other),
            };
        }
        let (kind, policy, spelling) = (&self.rule.kind, &self.rule.policy, &self.form.spelling);
        match kind {
            Kind::Integer => match class {
                Class::Integer => text.parse().ok().map(Cell::Integer),
                Class::Real => text.parse().ok().map(Cell::Real),
                _ => Some(Cell::text(text)),
            },
            Kind::Boolean => boolean(text, class, spelling),
            Kind::Float64 | Kind::Float32 => float(text, class, kind, spelling),
            Kind::Numeric { .. } => numeric(text, class, policy, spelling),
            Kind::Text | Kind::Verbatim => plain(text, class),
            Kind::Padded => plain(unpadded(text, spelling), class),
            Kind::Bytes => bytes(text, class),
            Kind::Instant { .. } => {
                moments::instant(text, class, policy.epoch, self.rule.zone, spelling)
            }
            Kind::Timestamp { .. } => {
                moments::instant(text, class, policy.epoch, Some(Zone::UTC), spelling)
            }
            Kind::Date => moments::date(text, class, policy.epoch, self.rule.zone, spelling),
            Kind::Time { .. } => moments::time(text, policy.since, spelling),
            Kind::Interval { .. } => {
                moments::span(text, class, policy.epoch, policy.since, spelling)
            }
            Kind::Uuid => guid(text, class, policy, spelling),
            // Which of a float's spellings it is, the checker says.
            Kind::JsonText if class == Class::Real => text.parse().ok().map(Cell::Real),
            Kind::Json | Kind::JsonText => json(text, class, policy, spelling),
            Kind::Address => Some(Cell::text(text)),
            Kind::Label(labels) => label(text, class, labels, spelling),
            Kind::Array(element) => match &policy.split {
                Some(separator) => array::list(text, separator).map(Cell::text),
                None => array::json(text, element).map(Cell::text),
            },
        }
    }
}

/// What the runbook says that a value stands for.
fn stands_for<'p>(cell: &Cell, policy: &'p ColumnPolicy) -> Option<&'p Replacement> {
    match cell {
        Cell::Integer(number) => policy.replacement(&number.to_string()),
        Cell::Real(number) => policy.replacement(&number.to_string()),
        Cell::Text(_) => policy.replacement(cell.as_str()?),
        Cell::Null | Cell::Blob(_) => None,
    }
}

fn boolean(text: &str, class: Class, spelling: &Spelling) -> Option<Cell> {
    let truth = match text {
        "t" => true,
        "f" => false,
        _ => return None,
    };
    Some(match (class, spelling) {
        (Class::Text, Spelling::Words { yes, no }) => Cell::text(if truth { yes } else { no }),
        (Class::Blob, _) => Cell::Blob(vec![u8::from(truth)]),
        (Class::Real, _) => Cell::Real(f64::from(u8::from(truth))),
        _ => Cell::Integer(i64::from(truth)),
    })
}

fn float(text: &str, class: Class, kind: &Kind, spelling: &Spelling) -> Option<Cell> {
    // The shortest form of a `real` is not that of the same number with 64 bits.
    let wide: f64 = match kind {
        Kind::Float32 => f64::from(text.parse::<f32>().ok()?),
        _ => text.parse().ok()?,
    };
    match class {
        Class::Integer => (wide.trunc() == wide && wide.abs() < 9_007_199_254_740_992.0)
            .then_some(Cell::Integer(wide as i64)),
        Class::Text => {
            let shortest = match kind {
                Kind::Float32 => text.parse::<f32>().ok()?.to_string(),
                _ => crate::parity::shortest::text(wide),
            };
            decimal(&shortest, spelling).map(Cell::text)
        }
        // NaN is NULL to SQLite.
        _ => (!wide.is_nan()).then_some(Cell::Real(wide)),
    }
}

fn numeric(text: &str, class: Class, policy: &ColumnPolicy, spelling: &Spelling) -> Option<Cell> {
    match class {
        Class::Integer => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let is_whole = fraction.bytes().all(|digit| digit == b'0');
            let number = whole.parse().ok();
            let number = number.or_else(|| match policy.unsigned {
                Some(Unsigned::Wrap) => whole.parse().ok().map(u64::cast_signed),
                Some(Unsigned::Signed) | None => None,
            });
            number.filter(|_| is_whole).map(Cell::Integer)
        }
        Class::Real => {
            let number: f64 = text.parse().ok()?;
            number.is_finite().then_some(Cell::Real(number))
        }
        _ => decimal(text, spelling).map(Cell::text),
    }
}

/// A plain decimal without zeros that say nothing, but with the places that the column always has.
fn decimal(text: &str, spelling: &Spelling) -> Option<String> {
    let Spelling::Decimal { places } = spelling else {
        return None;
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    if digits.is_empty()
        || !digits
            .bytes()
            .chain(fraction.bytes())
            .all(|d| d.is_ascii_digit())
    {
        return None;
    }
    let mut fraction = fraction.trim_end_matches('0').to_owned();
    while fraction.len() < *places {
        fraction.push('0');
    }
    Some(if fraction.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    })
}

/// A text of `char(n)` without what PostgreSQL fills it up with. Blanks are the application's own where it has written just this text, and where
/// all of its texts are as long as the column, some of them by blanks; in `char(1)` a blank takes the place of a letter.
fn unpadded<'t>(text: &'t str, spelling: &Spelling) -> &'t str {
    let bare = text.trim_end_matches(' ');
    let Spelling::Padded { shortest, blanks } = spelling else {
        return bare;
    };
    let length = text.chars().count();
    let is_whole = *shortest == Some(length) && (length == 1 || !blanks.is_empty());
    if is_whole || blanks.iter().any(|known| known == text) {
        text
    } else {
        bare
    }
}

fn plain(text: &str, class: Class) -> Option<Cell> {
    match class {
        Class::Integer => {
            let number: i64 = text.parse().ok()?;
            (number.to_string() == text).then_some(Cell::Integer(number))
        }
        Class::Real => {
            let number: f64 = text.parse().ok()?;
            (number.to_string() == text).then_some(Cell::Real(number))
        }
        Class::Text => Some(Cell::text(text)),
        Class::Blob => None,
    }
}

fn bytes(text: &str, class: Class) -> Option<Cell> {
    let hex = text.strip_prefix("\\x")?;
    let bytes: Option<Vec<u8>> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
        .collect();
    let bytes = bytes?;
    match class {
        Class::Text => String::from_utf8(bytes).ok().map(Cell::text),
        Class::Integer => {
            let digits = String::from_utf8(bytes).ok()?;
            plain(&digits, Class::Integer)
        }
        _ => Some(Cell::Blob(bytes)),
    }
}

fn guid(text: &str, class: Class, policy: &ColumnPolicy, spelling: &Spelling) -> Option<Cell> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 {
        return None;
    }
    if class == Class::Blob {
        let bytes: Option<Vec<u8>> = (0..32)
            .step_by(2)
            .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
            .collect();
        let mut bytes = bytes?;
        if policy.guid_bytes == Some(GuidBytes::Dotnet) {
            bytes[..4].reverse();
            bytes[4..6].reverse();
            bytes[6..8].reverse();
        }
        return Some(Cell::Blob(bytes));
    }
    let Spelling::Guid {
        upper,
        dashed,
        before,
        after,
    } = spelling
    else {
        return None;
    };
    let id = if *dashed { text } else { &digits };
    let id = if *upper {
        id.to_ascii_uppercase()
    } else {
        id.to_ascii_lowercase()
    };
    Some(Cell::text(format!("{before}{id}{after}")))
}

fn json(text: &str, class: Class, policy: &ColumnPolicy, spelling: &Spelling) -> Option<Cell> {
    match (class, spelling) {
        (Class::Integer | Class::Real, _) => plain(text, class),
        (Class::Blob, Spelling::Json { compact }) if !policy.jsonb_blob_decode => {
            let text = if *compact {
                compact_text(text)
            } else {
                text.to_owned()
            };
            Some(Cell::Blob(text.into_bytes()))
        }
        // SQLite's own binary form is SQLite's to make.
        (Class::Blob, _) => in_sqlite("SELECT jsonb(?1)", text).map(Cell::Blob),
        (_, Spelling::Json { compact: true }) => Some(Cell::text(compact_text(text))),
        _ => Some(Cell::text(text)),
    }
}

/// Without blanks between the parts; those in strings stay.
fn compact_text(text: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let kept = text.chars().filter(|c| {
        if in_string {
            in_string = escaped || *c != '"';
            escaped = !escaped && *c == '\\';
            return true;
        }
        in_string = *c == '"';
        !c.is_ascii_whitespace()
    });
    kept.collect()
}

fn label(text: &str, class: Class, labels: &[String], spelling: &Spelling) -> Option<Cell> {
    let place = || labels.iter().position(|label| label == text);
    match (class, spelling) {
        (Class::Integer, _) => i64::try_from(place()?).ok().map(Cell::Integer),
        (_, Spelling::Digits) => Some(Cell::text(place()?.to_string())),
        _ => Some(Cell::text(text)),
    }
}

/// The canonical form of a value of the source, by the checker's own reading.
pub(super) fn canonical(cell: &Cell, rule: &Rule, row: &mut Canonical) -> Taken {
    from_source(cell.value(), rule, row)
}

/// What SQLite makes of a value, in an empty database of its own.
fn in_sqlite(sql: &str, value: impl rusqlite::ToSql) -> Option<Vec<u8>> {
    thread_local! {
        static SQLITE: Option<rusqlite::Connection> = rusqlite::Connection::open_in_memory().ok();
    }
    SQLITE.with(|sqlite| {
        let mut statement = sqlite.as_ref()?.prepare_cached(sql).ok()?;
        statement
            .query_row([value], |row| Ok(row.get_ref(0)?.as_bytes()?.to_vec()))
            .ok()
    })
}

#[cfg(test)]
mod tests;
