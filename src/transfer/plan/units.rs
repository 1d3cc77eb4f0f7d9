//! In which unit the numbers of a column count, where they stand for moments: a unit is only suggested where every number comes out
//! plausible under it and some number under no other, nor as a count from another zero ([`super::zeros`]). Otherwise people are told what
//! each would make of them, and which they may state (`stated`).

mod stated;

use rusqlite::types::ValueRef;

use crate::runbook::transfer::Epoch;
use crate::transfer::convert::count;
use crate::transfer::plan::zeros::{self, Reading};

use stated::told_beside;
pub use stated::{agreed, name_of};

/// Numbers that are kept for the median.
const SAMPLE: usize = 1_024;
/// The years that days are taken to be of, where they could count from 1899-12-30 as well.
const RECENT: std::ops::Range<i32> = 2000..2031;

/// The books of frameworks that write UUIDs as bytes in the order of their text: sqlx and SeaORM, Ecto and Rails, Diesel, Python's Alembic, and
/// those that Hibernate's applications have beside them.
const WRITE_TEXT_ORDER: [&str; 10] = [
    "_sqlx_migrations",
    "seaql_migrations",
    "alembic_version",
    "schema_migrations",
    "ar_internal_metadata",
    "__diesel_schema_migrations",
    "hibernate_sequence",
    "hibernate_sequences",
    "flyway_schema_history",
    "DATABASECHANGELOG",
];

/// The last moment of the year 9999 by its numbers, which is one like any other where .NET does not write it for "never".
const LAST: [(Epoch, &str); 3] = [
    (Epoch::S, "253402300799"),
    (Epoch::Ms, "253402300799999"),
    (Epoch::Us, "253402300799999999"),
];

/// What is known of where a file comes from, by the tables in which frameworks keep their own books.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct World {
    /// Entity Framework, FluentMigrator: units of .NET are likely, nanoseconds are not.
    pub dotnet: bool,
    /// Django, which keeps durations in microseconds.
    pub django: bool,
    /// Apple's Core Data, which counts seconds since 2001.
    pub core_data: bool,
    /// Strapi, whose moments are milliseconds in SQLite, whenever they are.
    pub strapi: bool,
    /// Ecto, Rails, sqlx, Alembic, Hibernate's usual company: UUIDs as bytes stand in the order of their text.
    pub text_order: bool,
    /// The unit in which other columns of moments count, where it is one and the same, and how many they are.
    pub beside: Option<(Epoch, usize)>,
}

impl World {
    /// By the names of all tables of the source.
    pub fn of<'n>(tables: impl Iterator<Item = &'n str>) -> Self {
        let mut world = Self::default();
        for table in tables {
            world.dotnet |= matches!(table, "__EFMigrationsHistory" | "VersionInfo");
            world.django |= table == "django_migrations";
            world.strapi |= matches!(
                table,
                "strapi_migrations" | "strapi_database_schema" | "strapi_core_store_settings"
            );
            world.core_data |= matches!(table, "Z_METADATA" | "Z_PRIMARYKEY");
            world.text_order |= WRITE_TEXT_ORDER.contains(&table);
        }
        world
    }
}

/// The numbers of one column.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    /// How many.
    pub count: u64,
    /// Per unit, how many come out plausible.
    plausible: [u64; Epoch::ALL.len()],
    /// Per unit, the first that does.
    examples: [Option<String>; Epoch::ALL.len()],
    /// Per other reading, how many come out as moments of today.
    recent: [u64; zeros::ALL.len()],
    /// How many are moments of some time in milliseconds and, where that is next to 1970, none of today in seconds.
    any_ms: u64,
    /// How many are days of today: since 1970, and since 1899-12-30.
    days: [u64; 2],
    world: World,
    smallest: Option<Number>,
    largest: Option<Number>,
    /// Every so many-th of them.
    sample: Vec<Number>,
    stride: u64,
}

#[derive(Debug, Clone, PartialEq)]
struct Number {
    size: f64,
    digits: String,
}

/// What a look at all numbers says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They count in this unit; two of them with what they become.
    Unit(Epoch, Vec<String>),
    /// Nobody can tell, and why.
    Unknown(String),
}

/// The digits of a value that is a number, or text that is written as one.
pub fn digits(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Integer(integer) => Some(integer.to_string()),
        ValueRef::Real(real) if real.is_finite() => Some(real.to_string()),
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).ok()?;
            let plain = text
                .trim_start_matches('-')
                .chars()
                .all(|c| c.is_ascii_digit() || c == '.');
            (plain && text.parse::<f64>().is_ok()).then(|| text.to_owned())
        }
        _ => None,
    }
}

impl Numbers {
    /// Takes a number in, by its digits.
    pub fn see(&mut self, digits: String, world: World) {
        let Ok(size) = digits.parse::<f64>() else {
            return;
        };
        self.count += 1;
        self.world = world;
        for (seen, reading) in self.recent.iter_mut().zip(&zeros::ALL) {
            *seen += u64::from(reading.is_recent(size));
        }
        for (seen, unit) in self.days.iter_mut().zip([Epoch::Days, Epoch::Oadate]) {
            let year = count::year(&digits, unit);
            *seen += u64::from(year.is_some_and(|year| RECENT.contains(&year)));
        }
        self.any_ms += u64::from(is_any_ms(&digits, world));
        for (place, (_, unit)) in Epoch::ALL.iter().enumerate() {
            if is_plausible(&digits, *unit, world) {
                self.plausible[place] += 1;
                self.examples[place].get_or_insert_with(|| digits.clone());
            }
        }
        let number = Number { size, digits };
        self.bounds(&number);
        self.stride = self.stride.max(1);
        if self.count.is_multiple_of(self.stride) {
            self.sample.push(number);
            self.thin_out();
        }
    }

    fn bounds(&mut self, number: &Number) {
        if self
            .smallest
            .as_ref()
            .is_none_or(|known| number.size < known.size)
        {
            self.smallest = Some(number.clone());
        }
        if self
            .largest
            .as_ref()
            .is_none_or(|known| number.size > known.size)
        {
            self.largest = Some(number.clone());
        }
    }

    fn thin_out(&mut self) {
        while self.sample.len() > SAMPLE {
            let mut keep = false;
            self.sample.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride *= 2;
        }
    }

    /// Adds what another reader saw.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        for (mine, theirs) in self.plausible.iter_mut().zip(other.plausible) {
            *mine += theirs;
        }
        for (mine, theirs) in self.recent.iter_mut().zip(other.recent) {
            *mine += theirs;
        }
        self.any_ms += other.any_ms;
        for (mine, theirs) in self.days.iter_mut().zip(other.days) {
            *mine += theirs;
        }
        if other.count > 0 {
            self.world = other.world;
        }
        for (mine, theirs) in self.examples.iter_mut().zip(other.examples) {
            *mine = mine.take().or(theirs);
        }
        other.smallest.iter().for_each(|number| self.bounds(number));
        other.largest.iter().for_each(|number| self.bounds(number));
        self.stride = self.stride.max(other.stride);
        self.sample.extend(other.sample);
        self.thin_out();
    }

    /// Other readings that make moments of today of all numbers, as far as they are likely where the file comes from.
    pub fn other_readings(&self, dotnet: bool) -> Vec<&'static Reading> {
        let of_dotnet = dotnet || self.world.dotnet;
        let all = zeros::ALL.iter().zip(self.recent);
        let fit = all.filter(|(reading, count)| *count == self.count && reading.rivals(of_dotnet));
        let mut fit: Vec<&Reading> = fit.map(|(reading, _)| reading).collect();
        let counts = |unit| matches!(unit, Epoch::S | Epoch::Ms | Epoch::Us | Epoch::Ns);
        if self.world.core_data && fit.is_empty() && self.units().into_iter().any(counts) {
            fit.push(zeros::CORE_DATA);
        }
        fit
    }

    /// The units that make plausible moments of all numbers. Of days since 1970 and since 1899-12-30 those that are of today, where the
    /// others are not.
    fn units(&self) -> Vec<Epoch> {
        let all = Epoch::ALL.iter().zip(self.plausible);
        let fit = all.filter(|(_, count)| *count == self.count);
        let mut fit: Vec<Epoch> = fit.map(|((_, unit), _)| *unit).collect();
        let [unix, excel] = self.days.map(|count| count == self.count);
        if fit.contains(&Epoch::Days) && fit.contains(&Epoch::Oadate) && unix != excel {
            let other = if unix { Epoch::Oadate } else { Epoch::Days };
            fit.retain(|unit| *unit != other);
        }
        fit
    }

    /// In which unit numbers count that stand for moments; `dotnet`, where the column itself shows that .NET wrote it; `beside`, the unit of
    /// the file's other columns, which is only told.
    pub fn moments(&self, dotnet: bool, beside: Option<(Epoch, usize)>) -> Verdict {
        let seen = |unit: Epoch| {
            let place = Epoch::ALL.iter().position(|(_, known)| *known == unit);
            place.map_or(0, |place| self.plausible[place])
        };
        let (binary, ticks) = (seen(Epoch::DotnetBinary), seen(Epoch::Ticks));
        if binary > 0 && binary + ticks == self.count {
            return Verdict::Unit(Epoch::DotnetBinary, self.shown(Epoch::DotnetBinary));
        }
        let all = self.units();
        let others = self.other_readings(dotnet);
        let is_of_strapi = self.world.strapi && self.any_ms == self.count && seen(Epoch::Ms) > 0;
        if is_of_strapi && all.iter().all(|unit| *unit == Epoch::Ms) && others.is_empty() {
            return Verdict::Unit(Epoch::Ms, self.shown(Epoch::Ms));
        }
        match all.as_slice() {
            [_, ..] if !others.is_empty() => Verdict::Unknown(format!(
                "the numbers may count in a unit of `epoch:`, or be {}. {}",
                others
                    .iter()
                    .map(|reading| reading.words)
                    .collect::<Vec<_>>()
                    .join(", or "),
                self.table(&all, &others, count::moment_shown)
            )),
            // Years around 1900 come of any small number.
            [unit @ (Epoch::Days | Epoch::Oadate)] if !self.are_days(*unit) => {
                Verdict::Unknown(format!(
                    "small numbers, of which a unit makes moments of other times than today. {}",
                    self.table(&self.candidates(), &[], count::moment_shown)
                ))
            }
            [unit] => Verdict::Unit(*unit, self.shown(*unit)),
            [] => Verdict::Unknown(self.without_a_unit(&others, beside)),
            several => Verdict::Unknown(format!(
                "{}several units make plausible moments of these numbers. {}",
                told_beside(beside, several),
                self.table(several, &[], count::moment_shown)
            )),
        }
    }

    /// Whether the smallest and the largest are days of the years in which most dates are that people keep.
    fn are_days(&self, unit: Epoch) -> bool {
        let years = self
            .ends()
            .into_iter()
            .map(|digits| count::year(digits, unit));
        years
            .into_iter()
            .all(|year| year.is_some_and(|year| (1940..2060).contains(&year)))
    }

    /// In which unit numbers count that stand for durations: any length is plausible, so only the framework tells.
    pub fn durations(&self, world: World) -> Verdict {
        if world.django {
            let examples = self.ends().into_iter().filter_map(|digits| {
                let length = count::duration_shown(digits, Epoch::Us)?;
                Some(format!("{digits} → {length}"))
            });
            return Verdict::Unit(Epoch::Us, examples.collect());
        }
        let units = [
            Epoch::S,
            Epoch::Ms,
            Epoch::Us,
            Epoch::Ns,
            Epoch::Ticks,
            Epoch::Days,
        ];
        Verdict::Unknown(format!(
            "a duration of any length is plausible, so the unit has to be stated. {}",
            self.table(&units, &[], count::duration_shown)
        ))
    }

    /// The smallest and the largest number.
    fn ends(&self) -> Vec<&str> {
        let mut ends: Vec<&str> = [&self.smallest, &self.largest]
            .into_iter()
            .flatten()
            .map(|number| number.digits.as_str())
            .collect();
        ends.dedup();
        ends
    }

    fn shown(&self, unit: Epoch) -> Vec<String> {
        let moments = self.ends().into_iter().filter_map(|digits| {
            Some(format!("{digits} → {}", count::moment_shown(digits, unit)?))
        });
        moments.collect()
    }

    /// What each unit would make of the smallest, the median and the largest number.
    fn table(
        &self,
        units: &[Epoch],
        others: &[&Reading],
        shown: impl Fn(&str, Epoch) -> Option<String>,
    ) -> String {
        let mut sample = self.sample.clone();
        sample.sort_by(|one, other| one.size.total_cmp(&other.size));
        let median = sample.get(sample.len() / 2);
        let three = [
            ("smallest", self.smallest.as_ref()),
            ("median", median),
            ("largest", self.largest.as_ref()),
        ];
        let lines = three.into_iter().filter_map(|(which, number)| {
            let digits = &number?.digits;
            let meanings: Vec<String> = Epoch::ALL
                .iter()
                .filter(|(_, unit)| units.contains(unit))
                .filter_map(|(name, unit)| Some(format!("{name}: {}", shown(digits, *unit)?)))
                .chain(others.iter().filter_map(|reading| {
                    Some(format!(
                        "{}: {}",
                        reading.words,
                        reading.moment_shown(digits)?
                    ))
                }))
                .collect();
            Some(format!("{which} {digits} ({})", meanings.join("; ")))
        });
        let lines: Vec<String> = lines.collect();
        format!("By unit: {}", lines.join(", "))
    }

    /// The units that numbers of any size may be in, and those under which these are of some time that people write of.
    fn candidates(&self) -> Vec<Epoch> {
        let any = [Epoch::S, Epoch::Ms, Epoch::Us, Epoch::Ns];
        let fits = |unit: Epoch| {
            let mut years = self
                .ends()
                .into_iter()
                .map(|digits| count::year(digits, unit));
            years.all(|year| year.is_some_and(|year| (1850..2150).contains(&year)))
        };
        let all = Epoch::ALL.iter().map(|(_, unit)| *unit);
        all.filter(|unit| any.contains(unit) || fits(*unit))
            .collect()
    }
}

/// Whether a number that somebody wrote as milliseconds may be one. Next to 1970 it is not where it is a moment of today in seconds.
fn is_any_ms(digits: &str, world: World) -> bool {
    let of_today = count::year(digits, Epoch::S).is_some_and(|year| (1971..2100).contains(&year));
    let some_time = count::year(digits, Epoch::Ms).is_some_and(|year| (1800..2300).contains(&year));
    is_plausible(digits, Epoch::Ms, world) || some_time && !of_today
}

/// Whether a number comes out as a moment that an application is likely to hold. What comes out next to 1970 is a number in another
/// unit, or one that stands for something else.
fn is_plausible(digits: &str, unit: Epoch, world: World) -> bool {
    if LAST.contains(&(unit, digits)) {
        return true;
    }
    let years = match unit {
        // As nanoseconds, ticks come out before 1991.
        Epoch::Ns if !world.dotnet => 1991..2100,
        Epoch::Ns => return false,
        // As nanoseconds, they are of 2011: where both would do, nobody can tell.
        Epoch::EfOffset if !world.dotnet => 2000..2050,
        Epoch::S
        | Epoch::Ms
        | Epoch::Us
        | Epoch::Days
        | Epoch::Ticks
        | Epoch::Julian
        | Epoch::Oadate
        | Epoch::DotnetBinary
        | Epoch::EfOffset
        | Epoch::Calendar => 1900..2100,
    };
    if unit == Epoch::DotnetBinary
        && digits
            .parse::<i64>()
            .is_ok_and(|value| value as u64 >> 62 == 0)
    {
        // Without a kind it is a number of ticks.
        return false;
    }
    if unit == Epoch::EfOffset {
        let minutes = digits.parse::<i64>().map_or(1, |value| value << 53 >> 53);
        if minutes % 15 != 0 || minutes.abs() > 14 * 60 {
            return false;
        }
    }
    count::year(digits, unit)
        .is_some_and(|year| years.contains(&year) && !(1969..=1970).contains(&year))
}

#[cfg(test)]
mod tests;
