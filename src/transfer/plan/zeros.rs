//! Other readings of numbers that stand for moments: counts from a zero of their own (2001, 1904, 1900, 1601, year 1), and digits of a
//! calendar in lengths that no unit of `epoch:` takes. None of them is ever suggested; where one of them fits all numbers, no unit is
//! either, and people are told the statement that makes a unit's numbers of them. The units themselves are in [`super::units`].

use crate::runbook::transfer::Epoch;
use crate::transfer::convert::count;

/// The moments that applications of today write, in seconds since 1970: 1990 to 2031.
const RECENT_S: (f64, f64) = (631_152_000.0, 1_924_992_000.0);
/// The years of [`RECENT_S`].
const RECENT_YEARS: std::ops::Range<i64> = 1990..2031;

/// One reading.
#[derive(Debug)]
pub struct Reading {
    /// What the numbers would be, in words.
    pub words: &'static str,
    shape: Shape,
    /// Added in the source, as SQL writes it.
    add: &'static str,
    /// Multiplied by afterwards; 1 where nothing is.
    times: i128,
    /// The unit of the result.
    pub unit: Epoch,
    /// Written by Apple's frameworks, and so by no application of .NET.
    apple: bool,
}

#[derive(Debug)]
enum Shape {
    /// So many in a second, from so many seconds after 1970.
    Count { per_s: f64, zero_s: f64 },
    /// Digits of a calendar, how many of them are the year's, and how many there are in all.
    Calendar { year: u32, digits: u32 },
}

const APPLE_S: f64 = 978_307_200.0;
const DAY_S: f64 = 86_400.0;

/// All readings that are known.
pub const ALL: [Reading; 14] = [
    Reading::count(
        "seconds since 2001, as Apple counts them",
        (1.0, APPLE_S),
        "978307200",
        Epoch::S,
    )
    .of_apple(),
    Reading::count(
        "milliseconds since 2001, as Apple counts",
        (1e3, APPLE_S),
        "978307200000",
        Epoch::Ms,
    )
    .of_apple(),
    Reading::count(
        "microseconds since 2001, as Apple counts",
        (1e6, APPLE_S),
        "978307200000000",
        Epoch::Us,
    )
    .of_apple(),
    Reading::count(
        "nanoseconds since 2001, as Apple counts them",
        (1e9, APPLE_S),
        "978307200000000000",
        Epoch::Ns,
    )
    .of_apple(),
    Reading::count(
        "seconds since 1904, as old Macs count them",
        (1.0, -2_082_844_800.0),
        "-2082844800",
        Epoch::S,
    ),
    Reading::count(
        "seconds since 1900, as NTP counts them",
        (1.0, -2_208_988_800.0),
        "-2208988800",
        Epoch::S,
    ),
    Reading::count(
        "microseconds since 1601, as Chromium counts",
        (1e6, -11_644_473_600.0),
        "-11644473600000000",
        Epoch::Us,
    ),
    Reading::count(
        "Windows' file times: 100 ns since 1601",
        (1e7, -11_644_473_600.0),
        "504911232000000000",
        Epoch::Ticks,
    ),
    Reading::count(
        "units of 100 ns since 1970",
        (1e7, 0.0),
        "621355968000000000",
        Epoch::Ticks,
    ),
    Reading::count(
        "modified Julian days",
        (1.0 / DAY_S, -40_587.0 * DAY_S),
        "2400000.5",
        Epoch::Julian,
    ),
    Reading::count(
        "days since the year 1, as Python counts them",
        (1.0 / DAY_S, -719_163.0 * DAY_S),
        "-719163",
        Epoch::Days,
    ),
    Reading::calendar("YYYYMMDDhhmm", (4, 12), "0", 100),
    Reading::calendar("YYYYMMDDhh", (4, 10), "0", 10_000),
    Reading::calendar("YYMMDDhhmm", (2, 10), "200000000000", 100),
];

/// The one of [`ALL`] that Core Data writes.
pub const CORE_DATA: &Reading = &ALL[0];

impl Reading {
    const fn count(
        words: &'static str,
        (per_s, zero_s): (f64, f64),
        add: &'static str,
        unit: Epoch,
    ) -> Self {
        Self {
            words,
            shape: Shape::Count { per_s, zero_s },
            add,
            times: 1,
            unit,
            apple: false,
        }
    }

    const fn calendar(
        words: &'static str,
        (year, digits): (u32, u32),
        add: &'static str,
        times: i128,
    ) -> Self {
        Self {
            words,
            shape: Shape::Calendar { year, digits },
            add,
            times,
            unit: Epoch::Calendar,
            apple: false,
        }
    }

    const fn of_apple(mut self) -> Self {
        self.apple = true;
        self
    }

    /// Whether a number comes out as a moment of today.
    pub fn is_recent(&self, size: f64) -> bool {
        match self.shape {
            Shape::Count { per_s, zero_s } => {
                let since_s = size / per_s;
                // Next to the zero itself there are small numbers of all kinds.
                let far = since_s.abs() >= 365.0 * DAY_S;
                far && (RECENT_S.0..RECENT_S.1).contains(&(since_s + zero_s))
            }
            Shape::Calendar { year, digits } => is_calendar(size, year, digits),
        }
    }

    /// Whether the reading is likely enough to stand in the way of a unit.
    pub fn rivals(&self, dotnet: bool) -> bool {
        !(self.apple && dotnet)
    }

    /// The number as one in [`Reading::unit`], and the moment that it is.
    pub fn moment_shown(&self, digits: &str) -> Option<String> {
        let changed = match (digits.parse::<i128>(), self.add.parse::<i128>()) {
            (Ok(number), Ok(add)) => ((number + add) * self.times).to_string(),
            _ => (digits.parse::<f64>().ok()? + self.add.parse::<f64>().ok()?).to_string(),
        };
        count::moment_shown(&changed, self.unit)
    }

    /// The value that a column gets in the source to be in [`Reading::unit`]; the column is quoted already.
    pub fn expression(&self, column: &str) -> String {
        let sum = match self.add.strip_prefix('-') {
            Some(less) => format!("{column} - {less}"),
            None if self.add == "0" => column.to_owned(),
            None => format!("{column} + {}", self.add),
        };
        match (self.times, self.add) {
            (1, _) => sum,
            (times, "0") => format!("{sum} * {times}"),
            (times, _) => format!("({sum}) * {times}"),
        }
    }
}

fn is_calendar(size: f64, year: u32, digits: u32) -> bool {
    let low = 10_f64.powi(digits as i32 - 1);
    if size.fract() != 0.0 || !(low..low * 10.0).contains(&size) {
        return false;
    }
    let number = size as i64;
    // The places behind the year, two digits each: month, day, hour, minute.
    let places = (digits - year) / 2;
    let part = |place: u32| number / 100_i64.pow(places - place) % 100;
    let of_year = number / 100_i64.pow(places);
    let of_year = if year == 2 { 2000 + of_year } else { of_year };
    RECENT_YEARS.contains(&of_year)
        && (1..=12).contains(&part(1))
        && (1..=31).contains(&part(2))
        && part(3) < 24
        && (places < 4 || part(4) < 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reading_comes_out_where_its_statement_takes_it() {
        for (digits, words, moment) in [
            (
                "751000000.25",
                "seconds since 2001",
                "2024-10-19 03:06:40.250",
            ),
            (
                "730901234567890000",
                "nanoseconds since 2001",
                "2024-02-29 12:07:14.567890",
            ),
            ("3791232000", "since 1904", "2024-02-20 00:00:00"),
            ("3917376000", "since 1900", "2024-02-20 00:00:00"),
            (
                "13353680096123456",
                "since 1601, as Chromium",
                "2024-02-29 11:34:56.123456",
            ),
            (
                "133536800961234560",
                "file times",
                "2024-02-29 11:34:56.123456",
            ),
            (
                "17092100961234567",
                "100 ns since 1970",
                "2024-02-29 12:34:56.123456",
            ),
            ("52000.5", "modified Julian", "2001-04-01 12:00:00"),
            ("738945", "Python", "2024-02-29 00:00:00"),
            ("202402291234", "YYYYMMDDhhmm", "2024-02-29 12:34:00"),
            ("2024022912", "YYYYMMDDhh", "2024-02-29 12:00:00"),
            ("2402291234", "YYMMDDhhmm", "2024-02-29 12:34:00"),
        ] {
            let size = digits.parse().expect("a number");
            let fits: Vec<&Reading> = ALL
                .iter()
                .filter(|reading| reading.is_recent(size))
                .collect();
            let reading = fits.iter().find(|reading| reading.words.contains(words));
            let reading = reading.unwrap_or_else(|| panic!("{digits}: {fits:?}"));
            assert_eq!(
                reading.moment_shown(digits).as_deref(),
                Some(moment),
                "{words}"
            );
        }
        for honest in [
            1_709_210_096.0,
            1_709_210_096_123.0,
            1_700_000_000.0,
            2_082_844_800.0,
        ] {
            assert!(
                !ALL.iter().any(|reading| reading.is_recent(honest)),
                "{honest}"
            );
        }
        assert_eq!(ALL[13].expression("c"), "(c + 200000000000) * 100");
        assert_eq!(ALL[5].expression("c"), "c - 2208988800");
    }
}
