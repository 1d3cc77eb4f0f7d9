//! The edges of dates, times, moments and time spans. Not in here: every other type's ([`super`]).

use super::{Ladder, edge, rare};

/// A fraction of a second in all its digits, none of which says nothing.
const FRACTION: &str = "789456";

/// The fractions that a column keeps, shortest first, with what they are called.
fn fractions(digits: u8) -> impl Iterator<Item = (&'static str, String)> {
    (1..=usize::from(digits.min(6))).map(|places| {
        let called = match places {
            1..=3 => "fractions of a second",
            4 => "fractions of a second finer than a millisecond",
            _ => "fractions of a second finer than 0.1 ms",
        };
        (called, format!(".{}", &FRACTION[..places]))
    })
}

pub(super) fn moments(digits: u8, offset: &str) -> Vec<Ladder> {
    let at = |moment: &str, fraction: &str| format!("{moment}{fraction}{offset}");
    let finest = &FRACTION[..usize::from(digits.min(6))];
    let finest = match finest {
        "" => String::new(),
        digits => format!(".{digits}"),
    };
    let mut plain = vec![
        edge("midnights", at("2024-02-29 00:00:00", "")),
        edge("times of the day", at("2024-02-29 12:34:00", "")),
        edge("times of the day", at("2024-02-29 12:34:56", "")),
        edge("moments before 1970", at("1969-12-31 23:59:59", "")),
        edge("moments before 1900", at("1850-06-15 12:34:56", "")),
    ];
    plain.extend(
        fractions(digits).map(|(called, part)| edge(called, at("2024-02-29 12:34:56", &part))),
    );
    plain.extend([
        edge("moments in 2099", at("2099-12-31 23:59:59", &finest)),
        edge("moments before 1900", at("1850-06-15 12:34:56", &finest)),
        rare(
            "moments far ahead, up to the year 9999",
            at("2300-01-01 00:00:00", &finest),
        ),
        rare(
            "moments far ahead, up to the year 9999",
            at("9999-12-31 23:59:59", &finest),
        ),
    ]);
    let before_christ = format!("{} BC", at("0044-03-15 12:00:00", ""));
    vec![
        plain,
        vec![rare("moments far back", at("0001-01-01 00:00:00", ""))],
        vec![
            rare("years beyond 9999", at("12024-01-01 00:00:00", "")),
            rare("years beyond 262000", at("294276-12-31 23:59:59", "")),
        ],
        vec![rare("years before 1", before_christ)],
        endless(),
    ]
}

pub(super) fn dates() -> Vec<Ladder> {
    vec![
        vec![
            edge("days", "2024-02-29"),
            edge("days before 1970", "1969-12-31"),
            edge("days before 1900", "1850-06-15"),
            edge("days in 2099", "2099-12-31"),
            rare("days far ahead, up to the year 9999", "9999-12-31"),
        ],
        vec![rare("days far back", "0001-01-01")],
        vec![
            rare("years beyond 9999", "12024-01-01"),
            rare("years beyond 262000", "5874897-12-31"),
        ],
        vec![rare("years before 1", "0044-03-15 BC")],
        endless(),
    ]
}

fn endless() -> Ladder {
    vec![rare("infinity", "infinity"), rare("infinity", "-infinity")]
}

pub(super) fn times(digits: u8) -> Vec<Ladder> {
    let mut plain = vec![
        edge("midnight", "00:00:00"),
        edge("times of the day", "12:34:00"),
        edge("times of the day", "23:59:59"),
    ];
    plain.extend(fractions(digits).map(|(called, part)| edge(called, format!("12:34:56{part}"))));
    vec![plain, vec![rare("24:00", "24:00:00")]]
}

pub(super) fn spans(digits: u8) -> Vec<Ladder> {
    let mut plain = vec![
        edge("no time at all", "PT0S"),
        edge("whole days", "P10D"),
        edge("time spans", "PT1H"),
        edge("time spans", "P1DT2H3M4S"),
        edge("time spans below zero", "P-1DT-2H-3M-4S"),
    ];
    plain.extend(fractions(digits).map(|(called, part)| edge(called, format!("PT4{part}S"))));
    if digits > 0 {
        plain.push(edge("fractions of a second below zero", "PT-4.5S"));
    }
    let mut long = vec![rare("spans of centuries", "P100000DT23H59M59S")];
    long.extend(
        fractions(digits)
            .map(|(_, part)| rare("spans of centuries", format!("P99999999DT23H59M59{part}S"))),
    );
    long.push(rare("spans of 100000000 days and more", "P100000000D"));
    plain.extend(long);
    vec![
        plain,
        vec![rare("months and years, which have no length", "P1Y2M")],
    ]
}
