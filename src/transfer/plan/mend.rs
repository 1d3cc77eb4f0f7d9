//! Columns whose values fit under no setting, and that a statement in the source mends as a whole: numbers in a column of times, and keys that
//! SQLite has left NULL. The statement can be run as it is and loses nothing, so nobody is told to put the rows aside. Pure.

use rusqlite::types::ValueRef;

use crate::postgres::catalogue::ConstraintKind;
use crate::postgres::quoted;
use crate::sqlite::schema::Position;
use crate::transfer::convert::Class;
use crate::transfer::kind::Kind;
use crate::transfer::layout::{ColumnLayout, TableLayout};
use crate::transfer::plan::scan::Scanned;
use crate::transfer::plan::wish::Wish;
use crate::transfer::rows::ColumnLook;

/// What numbers may count from midnight on.
struct Unit {
    /// In words.
    words: &'static str,
    /// How many of them a day has.
    per_day: i64,
    /// Digits of a second's fraction; none where they are counted by other means.
    digits: Option<u32>,
}

/// From the coarsest on.
static UNITS: [Unit; 6] = [
    Unit::new("minutes", 1_440, None),
    Unit::new("seconds", 86_400, Some(0)),
    Unit::new("milliseconds", 86_400_000, Some(3)),
    Unit::new("microseconds", 86_400_000_000, Some(6)),
    Unit::new("units of 100 ns", 864_000_000_000, Some(7)),
    Unit::new("nanoseconds", 86_400_000_000_000, Some(9)),
];

impl Unit {
    const fn new(words: &'static str, per_day: i64, digits: Option<u32>) -> Self {
        Self {
            words,
            per_day,
            digits,
        }
    }

    /// SQLite's SQL for the time of day that a number of this unit is.
    fn expression(&self, column: &str) -> String {
        match self.digits {
            None => format!("strftime('%H:%M:%S', {column} * 60, 'unixepoch')"),
            Some(0) => format!("strftime('%H:%M:%S', {column}, 'unixepoch')"),
            Some(3) => format!("strftime('%H:%M:%f', {column}/1000.0, 'unixepoch')"),
            // SQLite's own fractions end at milliseconds.
            Some(digits) => {
                let per_s = 10_i64.pow(digits);
                format!(
                    "strftime('%H:%M:%S', {column}/{per_s}, 'unixepoch') || printf('.%0{digits}d', {column} % {per_s})"
                )
            }
        }
    }

    /// What makes times of the numbers, each of which is one: for others `strftime` would give NULL, or another day's time.
    fn statement(&self, table: &str, column: &str) -> String {
        format!(
            "UPDATE {table} SET {column} = {} WHERE typeof({column}) = 'integer' AND {column} BETWEEN 0 AND {}",
            self.expression(column),
            self.per_day - 1
        )
    }

    /// The time of day to the second.
    fn shown(&self, number: i64) -> String {
        let seconds = i128::from(number) * 86_400 / i128::from(self.per_day);
        format!(
            "{:02}:{:02}:{:02}",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60
        )
    }
}

/// Whether a value is one of those that a statement may mend.
pub(super) fn may_be(table: &TableLayout, column: &ColumnLayout, value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Integer(_) => matches!(column.converter.kind, Kind::Time(_)),
        ValueRef::Null => is_number_key(table, column) && rowid(table).is_some(),
        ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => false,
    }
}

/// What mends this column, in words and with the statement.
pub(super) fn told(
    table: &TableLayout,
    place: usize,
    wish: &Wish,
    scanned: &Scanned,
) -> Option<String> {
    let column = &table.columns[place];
    let look = scanned.looks.get(place)?;
    if matches!(column.converter.kind, Kind::Time(_)) {
        let is_plain = wish.hopeless > 0 && column.converter.policy.values.is_empty();
        return times(table, column, look).filter(|_| is_plain);
    }
    keys(table, column, look, wish)
}

fn times(table: &TableLayout, column: &ColumnLayout, look: &ColumnLook) -> Option<String> {
    let count = look.classes[Class::Integer as usize];
    let (low, high) = look.numbers.filter(|_| count > 0)?;
    let units = units(low, high);
    let (table, column) = (
        quoted(&table.source.name),
        quoted(table.source_name(column)),
    );
    let told: Vec<String> = units
        .iter()
        .map(|unit| {
            format!(
                "they are {} ({high} is {}), {} in the source",
                unit.words,
                unit.shown(high),
                unit.statement(&table, &column)
            )
        })
        .collect();
    let ways = match told.as_slice() {
        [] => return None,
        [one] => one.clone(),
        several => format!("if {}", several.join("; if ")),
    };
    Some(format!(
        "{count} whole number(s) where the target wants a time of day: {ways} makes times of them"
    ))
}

/// The units that numbers of this size are likely to count from midnight on: those in which the latest is an hour of the day. A column whose
/// times are all of the first hour may be in the next finer unit as well, and what is minutes may be seconds.
fn units(low: i64, high: i64) -> Vec<&'static Unit> {
    let fits: Vec<&Unit> = UNITS
        .iter()
        .filter(|unit| low >= 0 && high < unit.per_day)
        .collect();
    let is_late = |unit: &&Unit| high >= unit.per_day / 24;
    let mut likely: Vec<&Unit> = fits.iter().copied().filter(is_late).collect();
    let is_certain = likely.first().is_some_and(|unit| unit.digits.is_some());
    if !is_certain {
        likely = fits.into_iter().take(2).collect();
    }
    likely
}

/// Whether a column is the whole key of its table, on one side at least, and holds numbers.
pub(super) fn is_number_key(table: &TableLayout, column: &ColumnLayout) -> bool {
    let kind = &column.converter.kind;
    let mut constraints = table.target.constraints.iter();
    let name = column.target.name.as_str();
    let is_key = table.source.primary_key == [column.source]
        || constraints.any(|key| key.kind == ConstraintKind::Primary && key.columns == [name]);
    is_key && (kind.is_integer() || matches!(kind, Kind::Numeric(_)))
}

/// The name of a table's rowid as SQL has it.
fn rowid(table: &TableLayout) -> Option<String> {
    match &table.source.position {
        Position::Rowid { name, alias: None } => Some(name.clone()),
        Position::Rowid {
            name,
            alias: Some(_),
        } => Some(quoted(name)),
        Position::Key | Position::Ordinal => None,
    }
}

/// Only what is declared INTEGER PRIMARY KEY is SQLite's rowid; every other key it lets be NULL, and gives no number.
fn keys(
    table: &TableLayout,
    column: &ColumnLayout,
    look: &ColumnLook,
    wish: &Wish,
) -> Option<String> {
    let (first, last) = wish.null_rows.filter(|_| is_number_key(table, column))?;
    let rowid = rowid(table)?;
    let (name, id) = (
        quoted(&table.source.name),
        quoted(table.source_name(column)),
    );
    let is_free = look
        .numbers
        .is_none_or(|(low, high)| first > high || last < low);
    let others: u64 = [Class::Real, Class::Text, Class::Blob]
        .map(|class| look.classes[class as usize])
        .iter()
        .sum();
    let number = if is_free {
        rowid
    } else {
        // Text is greater than every number.
        let only = match others {
            0 => String::new(),
            _ => format!(" WHERE typeof({id}) = 'integer'"),
        };
        let up = match 1 - i128::from(first) {
            up @ 1.. => format!(" + {up}"),
            _ => String::new(),
        };
        format!("(SELECT max({id}) FROM {name}{only}) + {rowid}{up}")
    };
    Some(format!(
        "{} row(s) without a key: only INTEGER PRIMARY KEY is numbered by SQLite itself, and any other key may be NULL there. UPDATE {name} SET {id} = \
         {number} WHERE {id} IS NULL in the source gives each a number that no other row has",
        look.classes[Class::Null as usize]
    ))
}

#[cfg(test)]
mod tests {
    use super::units;

    #[test]
    fn the_unit_of_a_time_is_told_by_its_size_and_both_where_it_is_not() {
        let told =
            |low, high| -> Vec<&str> { units(low, high).iter().map(|unit| unit.words).collect() };
        assert_eq!(told(3_599_000, 82_800_000), ["milliseconds"]);
        assert_eq!(told(0, 82_800), ["seconds"]);
        assert_eq!(told(0, 82_800_000_000), ["microseconds", "units of 100 ns"]);
        assert_eq!(told(0, 30_000_000_000), ["microseconds"]);
        assert_eq!(told(0, 540), ["minutes", "seconds"]);
        assert_eq!(told(0, 2_000), ["seconds", "milliseconds"]);
        assert_eq!(told(0, 200_000), ["milliseconds", "microseconds"]);
        assert_eq!(told(0, 82_800_000_000_000), ["nanoseconds"]);
        assert!(told(-1, 540).is_empty());
        assert!(told(0, 86_400_000_000_000).is_empty());
    }

    #[test]
    fn a_time_is_shown_to_the_second() {
        let of = |high| units(0, high)[0].shown(high);
        assert_eq!(of(82_800_000), "23:00:00");
        assert_eq!(of(3_661), "01:01:01");
        assert_eq!(of(540), "09:00:00");
    }
}
