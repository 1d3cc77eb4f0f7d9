//! Values of the usual types: how each is written in SQLite, and what PostgreSQL has to show.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::specimens::SPECIMENS;
use super::world::{Cell, Kind};

impl Kind {
    pub fn declared(self) -> &'static str {
        match self {
            Self::Number | Self::Parent(_) => "INTEGER",
            Self::Truth => "BOOLEAN",
            Self::Text | Self::Word | Self::Document | Self::Guid => "TEXT",
            Self::Money => "NUMERIC_TEXT",
            Self::Moment | Self::Zoned | Self::FineMoment => "TEXT",
            Self::Seconds => "INTEGER",
            Self::Float => "REAL",
            Self::Bytes => "BLOB",
            Self::Specimen(at) => SPECIMENS[at].declared,
        }
    }

    pub fn target(self) -> &'static str {
        match self {
            Self::Number | Self::Parent(_) => "bigint",
            Self::Truth => "boolean",
            Self::Text => "text",
            Self::Word => "varchar(5)",
            Self::Money => "numeric(10,2)",
            Self::Moment | Self::FineMoment => "timestamp",
            Self::Zoned | Self::Seconds => "timestamptz",
            Self::Float => "double precision",
            Self::Bytes => "bytea",
            Self::Document => "jsonb",
            Self::Guid => "uuid",
            Self::Specimen(at) => SPECIMENS[at].target,
        }
    }

    /// A value that no row has, as SQL for PostgreSQL.
    pub fn fresh(self) -> &'static str {
        match self {
            Self::Number | Self::Parent(_) => "99",
            Self::Truth => "true",
            Self::Text => "'a fresh text'",
            Self::Word => "'fresh'",
            Self::Money => "1.00",
            Self::Moment | Self::FineMoment | Self::Zoned | Self::Seconds => "now()",
            Self::Float => "1",
            Self::Bytes => "'\\x00'",
            Self::Document => "'{}'",
            Self::Guid => "'00000000-0000-0000-0000-000000000001'",
            Self::Specimen(at) => SPECIMENS[at].fresh,
        }
    }

    pub fn cell(self, random: &mut StdRng) -> Cell {
        let fits = |literal: String, expected: String| Cell {
            literal,
            expected: Some(expected),
            bad: false,
        };
        let bad = |literal: &str| Cell {
            literal: literal.to_owned(),
            expected: None,
            bad: true,
        };
        let is_bad = random.random_bool(0.03);
        let text = |text: &str| fits(format!("'{text}'"), text.to_owned());
        match self {
            Self::Number | Self::Parent(_) if is_bad => bad("'abc'"),
            Self::Number | Self::Parent(_) => {
                let number = random.random_range(-3..98);
                fits(number.to_string(), number.to_string())
            }
            Self::Truth if is_bad => bad("2"),
            Self::Truth => match random.random_bool(0.5) {
                true => fits("1".to_owned(), "true".to_owned()),
                false => fits("0".to_owned(), "false".to_owned()),
            },
            Self::Text => {
                let word = [
                    "Ann", "ann", " ann ", "ben", "Cem", "dora", "eve", "fay", "gus", "hal",
                ]
                .choose(random)
                .expect("a word");
                text(&format!(
                    "{word}{}",
                    ["", "1", "2", "3"].choose(random).expect("a digit")
                ))
            }
            Self::Word if is_bad => bad("'longer than five'"),
            Self::Word => text(["a", "", "fünf", "NULL"].choose(random).expect("a word")),
            Self::Money => text(&format!(
                "{}.{:02}",
                random.random_range(0..5000),
                random.random_range(0..100)
            )),
            Self::Moment if is_bad => bad("'yesterday'"),
            Self::Moment => text(&format!(
                "2024-0{}-15 10:00:0{}",
                random.random_range(1..10),
                random.random_range(0..10)
            )),
            Self::Zoned => {
                let at = format!("2023-0{}-15 10:00:00", random.random_range(1..10));
                fits(format!("'{at}'"), format!("{at}+00"))
            }
            Self::FineMoment => {
                let at = format!("2024-01-0{} 10:00:00.123456", random.random_range(1..10));
                fits(format!("'{at}7'"), at)
            }
            Self::Seconds => {
                let day = random.random_range(1..29);
                // 2024-02-01 00:00:00 UTC and whole days after it.
                fits(
                    (1_706_745_600 + 86_400 * (day - 1)).to_string(),
                    format!("2024-02-{day:02} 00:00:00+00"),
                )
            }
            Self::Float => {
                let quarters = random.random_range(-400..400);
                let value = f64::from(quarters) / 4.0;
                fits(format!("{value:?}"), value.to_string())
            }
            Self::Bytes => {
                let byte: u8 = random.random();
                fits(format!("x'00{byte:02x}'"), format!("\\x00{byte:02x}"))
            }
            Self::Document if is_bad => bad("'{broken'"),
            Self::Document => {
                let number = random.random_range(0..100);
                fits(
                    format!("'{{\"a\":{number}}}'"),
                    format!("{{\"a\": {number}}}"),
                )
            }
            Self::Guid => {
                let id = format!("00000000-0000-4000-8000-{:012x}", random.random::<u32>());
                fits(format!("'{}'", id.to_uppercase()), id)
            }
            Self::Specimen(at) => {
                let values = SPECIMENS[at].values;
                let (literal, expected) = values.choose(random).expect("a value");
                fits((*literal).to_owned(), (*expected).to_owned())
            }
        }
    }
}
