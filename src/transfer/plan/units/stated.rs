//! What people may state of numbers whose unit nobody can tell: the units under which all of them are moments, and the statement that makes
//! one unit of two.

use super::{Number, Numbers, is_plausible};
use crate::runbook::transfer::Epoch;
use crate::transfer::convert::count;
use crate::transfer::plan::zeros::Reading;

/// The years that PostgreSQL has moments of, as far as all types have them.
const POSTGRES: std::ops::RangeInclusive<i32> = -4712..=294_276;
/// Units that are named where none makes plausible moments of all numbers.
const NAMED: usize = 3;

/// Seconds.
const HOUR: f64 = 3_600.0;

/// How long one is, of units that count from 1970.
fn seconds(unit: Epoch) -> Option<f64> {
    match unit {
        Epoch::S => Some(1.0),
        Epoch::Ms => Some(1e-3),
        Epoch::Us => Some(1e-6),
        Epoch::Ns => Some(1e-9),
        Epoch::Days
        | Epoch::Ticks
        | Epoch::Julian
        | Epoch::Oadate
        | Epoch::DotnetBinary
        | Epoch::EfOffset
        | Epoch::Calendar => None,
    }
}

/// A statement that makes one unit of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mend {
    /// Below this size the numbers count in the larger unit.
    bound: i64,
    /// How many of the smaller unit make one of the larger.
    factor: u32,
    /// Those in the larger unit are multiplied; otherwise those in the smaller one are divided.
    multiplies: bool,
    /// The name of the unit in which all of them count then.
    pub unit: &'static str,
}

impl Mend {
    /// The new value of a column, which is quoted already, and which numbers get it.
    pub fn sql(&self, column: &str) -> (String, String) {
        let Self { bound, factor, .. } = self;
        match self.multiplies {
            true => (
                format!("{column} * {factor}"),
                format!("abs({column}) < {bound}"),
            ),
            // A whole number would lose its fraction.
            false => (
                format!("{column} / {factor}.0"),
                format!("abs({column}) >= {bound}"),
            ),
        }
    }
}

/// A unit as a section writes it.
pub fn name_of(unit: Epoch) -> &'static str {
    let mut all = Epoch::ALL.iter();
    all.find(|(_, known)| *known == unit)
        .map_or("s", |(name, _)| *name)
}

/// The one unit in which all of these columns count, and how many they are.
pub fn agreed(units: &[Epoch]) -> Option<(Epoch, usize)> {
    let (first, rest) = units.split_first()?;
    let same = rest.iter().all(|unit| unit == first);
    same.then_some((*first, units.len()))
}

/// What other columns say, before anything else, where their unit is one of `units`.
pub(super) fn told_beside(beside: Option<(Epoch, usize)>, units: &[Epoch]) -> String {
    match beside {
        Some((unit, 1)) if units.contains(&unit) => {
            format!("1 other column of this file counts in {}. ", name_of(unit))
        }
        Some((unit, count)) if units.contains(&unit) => {
            format!(
                "{count} other columns of this file count in {}. ",
                name_of(unit)
            )
        }
        Some(_) | None => String::new(),
    }
}

impl Numbers {
    /// What is said where no unit makes plausible moments of all numbers: first what can be stated, then why it was not suggested.
    pub(super) fn without_a_unit(
        &self,
        others: &[&Reading],
        beside: Option<(Epoch, usize)>,
    ) -> String {
        let some = Epoch::ALL.iter().zip(self.plausible).zip(&self.examples);
        let some: Vec<String> = some
            .filter(|((_, count), _)| *count > 0)
            .map(|(((name, unit), count), example)| {
                let digits = example.as_deref().unwrap_or_default();
                let moment = count::moment_shown(digits, *unit).unwrap_or_default();
                format!("{count} of {} as {name} ({digits} → {moment})", self.count)
            })
            .collect();
        let mixed = match some.is_empty() {
            true => "o unit makes plausible moments of these numbers".to_owned(),
            false => format!(
                "o unit makes plausible moments of all of these numbers: {}",
                some.join(", ")
            ),
        };
        // Where another count fits all of them, it is not a unit that is to be stated.
        let stated = match others {
            [] => self.to_state(beside),
            [..] => None,
        };
        let begin = stated.map_or_else(|| "n".to_owned(), |stated| format!("{stated}. N"));
        format!(
            "{begin}{mixed}. {}",
            self.table(&self.candidates(), others, count::moment_shown)
        )
    }

    /// The units that people may state all the same, and what an odd number may stand for.
    fn to_state(&self, beside: Option<(Epoch, usize)>) -> Option<String> {
        let units = self.possible(beside.map(|(unit, _)| unit));
        let Some((first, rest)) = units.split_first() else {
            return self.but_for_one(beside);
        };
        let mut said = told_beside(beside, &units);
        said.push_str(&format!(
            "State `epoch: {}` if all of them count so",
            name_of(*first)
        ));
        for unit in rest {
            said.push_str(&format!(", `epoch: {}` if they do in that", name_of(*unit)));
        }
        if let Some(hint) = self.left_over(*first) {
            said.push_str(&format!("; {hint}"));
        }
        Some(said)
    }

    /// Where no unit can be stated for all numbers: that of the others, and what the one that is in none stands for.
    fn but_for_one(&self, beside: Option<(Epoch, usize)>) -> Option<String> {
        let fits = |unit: Epoch, number: &Number| is_plausible(&number.digits, unit, self.world);
        let (smallest, largest) = (self.smallest.as_ref()?, self.largest.as_ref()?);
        let mut all = Epoch::ALL.iter().zip(self.plausible);
        let (unit, _) = beside.or_else(|| {
            let most = all.find(|(_, count)| *count * 2 > self.count);
            most.map(|((_, unit), _)| (*unit, 1))
        })?;
        let (odd, by) = match (fits(unit, smallest), fits(unit, largest)) {
            (true, false) => (largest, "infinity"),
            (false, true) => (smallest, "null"),
            (true, true) | (false, false) => return None,
        };
        let digits = &odd.digits;
        Some(format!(
            "{}State `epoch: {}` if the others count so, and what {digits} stands for, such as `values: {{ {digits}: {by} }}`",
            told_beside(beside, &[unit]),
            name_of(unit)
        ))
    }

    /// Whether a number that counts in another unit would be next to the start of 1970 in this one.
    fn starts_1970(&self, unit: Epoch) -> bool {
        let Some(length) = seconds(unit) else {
            return false;
        };
        let ends = [&self.smallest, &self.largest].into_iter().flatten();
        let mut small =
            ends.filter(|number| number.size != 0.0 && number.size.abs() * length < HOUR);
        let others = || Epoch::ALL.iter().filter(|(_, other)| *other != unit);
        small.any(|number| {
            others().any(|(_, other)| is_plausible(&number.digits, *other, self.world))
        })
    }

    /// The units under which all numbers are moments that PostgreSQL has, and some are plausible: the one of other columns first, then that
    /// of most numbers. Where none is plausible, those of any number.
    fn possible(&self, beside: Option<Epoch>) -> Vec<Epoch> {
        // Of these a number between the smallest and the largest may be no moment at all.
        let is_patchy = |unit: Epoch| {
            matches!(
                unit,
                Epoch::DotnetBinary | Epoch::EfOffset | Epoch::Calendar
            )
        };
        let years = |unit: Epoch| {
            let ends = self.ends().into_iter();
            let years: Option<Vec<i32>> = ends.map(|digits| count::year(digits, unit)).collect();
            years.filter(|years| years.iter().all(|year| POSTGRES.contains(year)))
        };
        let ranked = |least: u64| {
            let all = Epoch::ALL.iter().zip(self.plausible);
            let all = all.filter_map(|((_, unit), seen)| {
                let is_likely = match is_patchy(*unit) {
                    true => seen * 2 > self.count,
                    false => seen >= least || beside == Some(*unit),
                };
                let is_likely = is_likely && !self.starts_1970(*unit);
                let years = years(*unit).filter(|_| is_likely)?;
                let far = years.iter().map(|year| (year - 2000).abs()).max();
                let rank = (beside != Some(*unit), std::cmp::Reverse(seen), far);
                Some((rank, *unit))
            });
            let mut all: Vec<_> = all.collect();
            all.sort_by_key(|(rank, _)| *rank);
            all
        };
        let mut ranked_units = ranked(1);
        if ranked_units.is_empty() && self.plausible.iter().all(|count| *count == 0) {
            let any = [Epoch::S, Epoch::Ms, Epoch::Us, Epoch::Ns];
            ranked_units = ranked(0);
            ranked_units.retain(|(_, unit)| any.contains(unit));
        }
        let units = ranked_units.into_iter().map(|(_, unit)| unit);
        units.take(NAMED).collect()
    }

    /// Where the unit makes plausible moments of most numbers, and not of the largest or the smallest: how to state what that stands for.
    fn left_over(&self, unit: Epoch) -> Option<String> {
        let most = Epoch::ALL.iter().zip(self.plausible);
        let mut most = most.filter(|(_, count)| *count * 2 > self.count);
        let is_most = most.next().is_some_and(|((_, most), _)| *most == unit);
        if !is_most || most.next().is_some() {
            return None;
        }
        let ends = [
            (self.largest.as_ref()?, "infinity"),
            (self.smallest.as_ref()?, "null"),
        ];
        let odd = ends
            .into_iter()
            .find(|(number, _)| !is_plausible(&number.digits, unit, self.world));
        let (number, by) = odd?;
        let digits = &number.digits;
        Some(format!(
            "if {digits} stands for something else, state that too, such as `values: {{ {digits}: {by} }}`"
        ))
    }

    /// Where two neighbouring units are mixed: how the fewer of the numbers come to count as the others do.
    pub fn mixed(&self) -> Option<Mend> {
        let seen = |unit: Epoch| {
            let place = Epoch::ALL.iter().position(|(_, known)| *known == unit);
            place.map_or(0, |place| self.plausible[place])
        };
        let pairs = [
            (Epoch::S, Epoch::Ms, 10_000_000_000, 1_000),
            (Epoch::Ms, Epoch::Us, 10_000_000_000_000, 1_000),
            (Epoch::S, Epoch::Us, 10_000_000_000, 1_000_000),
        ];
        let all = |one: u64, other: u64| one > 0 && other > 0 && one + other == self.count;
        let mut pairs = pairs.into_iter();
        let (coarse, fine, bound, factor) =
            pairs.find(|(coarse, fine, ..)| all(seen(*coarse), seen(*fine)))?;
        // Small numbers of the finer unit are next to 1970, and of years in the coarser one in which nobody wrote such a file.
        let smallest = self.smallest.as_ref()?;
        if count::year(&smallest.digits, coarse).is_some_and(|year| (1970..1990).contains(&year)) {
            return None;
        }
        let multiplies = seen(coarse) <= seen(fine);
        // What the coarser unit can be of, too, such as its last day in year 9999, would become another moment.
        let is_of_coarse = |digits: &str| {
            let size = digits.parse::<i128>().map_or(0, i128::abs);
            size >= i128::from(bound) && count::year(digits, coarse).is_some_and(|y| y <= 9999)
        };
        if !multiplies && self.ends().into_iter().any(is_of_coarse) {
            return None;
        }
        Some(Mend {
            bound,
            factor,
            multiplies,
            unit: name_of(if multiplies { fine } else { coarse }),
        })
    }
}
