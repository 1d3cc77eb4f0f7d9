//! Values as literals of SQL, among them those that SQLite takes for equal and that are not: 1 and 1.0, 0.0 and -0.0, `a` and `A`, a text and
//! the blob of its bytes, and texts that are none (broken UTF-8, half a pair of UTF-16, NUL).

use std::fmt::Write as _;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Values that are alike.
const ALIKE: [&str; 24] = [
    "NULL",
    "0",
    "0.0",
    "-0.0",
    "1",
    "1.0",
    "'1'",
    "x'31'",
    "'a'",
    "'A'",
    "'a '",
    "x'61'",
    "''",
    "x''",
    "'ä'",
    "'😀'",
    "CAST(x'ff61' AS TEXT)",
    "CAST(x'00d8' AS TEXT)",
    "CAST(x'd800' AS TEXT)",
    "CAST(x'6100620063006100' AS TEXT)",
    "CAST(x'6100620064006100' AS TEXT)",
    "9223372036854775807",
    "-9223372036854775808",
    "9e999",
];

/// Any value; one in so many is long enough to overflow its page.
pub fn any(rng: &mut StdRng) -> String {
    match rng.random_range(0..12) {
        0..5 => (*ALIKE.choose(rng).unwrap()).to_owned(),
        5..7 => integer(rng),
        7 => real(rng),
        8..10 => text(rng),
        10 => blob(rng, 40),
        _ => long(rng),
    }
}

pub fn integer(rng: &mut StdRng) -> String {
    match rng.random_range(0..4) {
        0 => rng.random::<i32>().to_string(),
        1 => rng.random_range(-3..3_i64).to_string(),
        _ => rng.random_range(0..200_i64).to_string(),
    }
}

pub fn real(rng: &mut StdRng) -> String {
    match rng.random_range(0..4) {
        0 => format!("{:?}", rng.random::<f64>() * 1e12),
        1 => "-0.0".to_owned(),
        2 => format!("{}.0", rng.random_range(-5..5)),
        _ => format!("{:?}", f64::from(rng.random_range(-50..50)) / 8.0),
    }
}

/// A short one, of few letters, so that some are alike but for letter case or blanks behind them.
pub fn text(rng: &mut StdRng) -> String {
    let letters = ['a', 'A', 'b', 'B', ' ', 'é', '1'];
    let length = rng.random_range(1..6);
    let text: String = (0..length).map(|_| *letters.choose(rng).unwrap()).collect();
    format!("'{text}'")
}

pub fn blob(rng: &mut StdRng, most: usize) -> String {
    let length = rng.random_range(0..most);
    let mut literal = String::from("x'");
    for _ in 0..length {
        let _ = write!(literal, "{:02x}", rng.random::<u8>());
    }
    literal.push('\'');
    literal
}

/// Text or bytes that overflow a page of most sizes.
pub fn long(rng: &mut StdRng) -> String {
    let length = match rng.random_range(0..10) {
        0 => rng.random_range(5_000..80_000),
        _ => rng.random_range(300..3_000),
    };
    if rng.random() {
        return blob(rng, length);
    }
    let letter = *["x", "y", "ß"].choose(rng).unwrap();
    format!("'{}'", letter.repeat(length))
}
