//! Values as .NET writes them into SQLite, drawn from a seeded generator.

use chrono::{Days, NaiveDate};
use rand::Rng;
use rand::rngs::StdRng;

const ADJECTIVES: [&str; 24] = [
    "Portable",
    "Précis",
    "Quiet",
    "Rapid",
    "Simple",
    "Modular",
    "Open",
    "Native",
    "Tiny",
    "Über",
    "Zero-Config",
    "Adaptive",
    "Batch",
    "Clean",
    "Declarative",
    "Elastic",
    "Fast",
    "Guided",
    "Hybrid",
    "Incremental",
    "JSON",
    "Kernel",
    "Live",
    "Offline",
];
const NOUNS: [&str; 24] = [
    "Analyzer",
    "Backup",
    "Compiler",
    "Dashboard",
    "Editor",
    "Formatter",
    "Generator",
    "Hasher",
    "Indexer",
    "Journal",
    "Kiosk",
    "Linter",
    "Monitor",
    "Notebook",
    "Organizer",
    "Parser",
    "Größenrechner",
    "Router",
    "Scheduler",
    "Tracer",
    "Uploader",
    "Validator",
    "Wiki",
    "翻訳機",
];
const FILLERS: [&str; 20] = [
    "reads", "every", "file", "twice,", "without", "a", "network;", "it's", "made", "for", "teams",
    "who", "ship", "on", "Fridays", "– and", "sleep", "\"well\"", "naïvely", "🙂",
];

/// Draws values. The generator is open to the caller for what is not .NET's business.
pub(super) struct Values {
    pub(super) rng: StdRng,
}

impl Values {
    pub(super) fn new(rng: StdRng) -> Self {
        Self { rng }
    }

    /// Something, or NULL.
    pub(super) fn maybe<T>(&mut self, chance: f64, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.rng.random_bool(chance).then(|| draw(self))
    }

    pub(super) fn word(&mut self) -> &'static str {
        NOUNS[self.rng.random_range(0..NOUNS.len())]
    }

    /// Titles repeat, so that the order of a list needs its tie-breaker, and one in eight starts in lower case, so that a
    /// collation which ignores case orders them differently.
    pub(super) fn title(&mut self) -> String {
        let adjective = ADJECTIVES[self.rng.random_range(0..ADJECTIVES.len())];
        let title = match self.rng.random_range(0..3_u32) {
            0 => format!("{adjective} {}", self.word()),
            _ => format!(
                "{adjective} {} {}",
                self.word(),
                self.rng.random_range(2..400_u32)
            ),
        };
        if self.rng.random_ratio(1, 8) {
            title.to_lowercase()
        } else {
            title
        }
    }

    pub(super) fn sentence(&mut self) -> String {
        self.words(6, 14)
    }

    pub(super) fn paragraph(&mut self) -> String {
        self.words(20, 60)
    }

    fn words(&mut self, least: usize, most: usize) -> String {
        let count = self.rng.random_range(least..=most);
        let words: Vec<&str> = (0..count)
            .map(|_| FILLERS[self.rng.random_range(0..FILLERS.len())])
            .collect();
        words.join(" ")
    }

    /// A version 4 GUID in upper case, as EF Core stores it.
    pub(super) fn guid(&mut self) -> String {
        guid(self.rng.random()).to_uppercase()
    }

    /// A decimal with up to four places; .NET keeps at least one.
    pub(super) fn decimal(&mut self, below: u32) -> String {
        let whole = self.rng.random_range(0..below);
        match self.rng.random_range(0..4_u32) {
            0 => format!("{whole}.0"),
            1 => format!("{whole}.{}", self.rng.random_range(1..10_u32)),
            2 => format!("{whole}.{:02}", self.rng.random_range(1..100_u32)),
            _ => format!("{whole}.{:04}", self.rng.random_range(1..10_000_u32)),
        }
    }

    /// `yyyy-MM-dd HH:mm:ss.fffffff`; PostgreSQL has no place for the last digit, which is mostly there.
    pub(super) fn instant(&mut self) -> String {
        let ticks = self.rng.random_range(0..10_000_000_u32);
        self.instant_with(ticks)
    }

    /// The same with a last digit of zero.
    pub(super) fn instant_in_microseconds(&mut self) -> String {
        let microseconds = self.rng.random_range(0..1_000_000_u32);
        self.instant_with(microseconds * 10)
    }

    fn instant_with(&mut self, ticks: u32) -> String {
        let (date, second) = (self.date(), self.rng.random_range(0..86_400_u32));
        format!(
            "{date} {:02}:{:02}:{:02}.{ticks:07}",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }

    pub(super) fn date(&mut self) -> String {
        let first = NaiveDate::from_ymd_opt(2019, 1, 1).expect("BUG: a day that exists");
        (first + Days::new(self.rng.random_range(0..2_200))).to_string()
    }

    pub(super) fn bytes(&mut self) -> Vec<u8> {
        let length = self.rng.random_range(0..48_usize);
        (0..length).map(|_| self.rng.random()).collect()
    }
}

/// These bits as a version 4 GUID in lower case.
pub fn guid(bits: u128) -> String {
    let bits = bits & !(0xF << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

/// A slug as the application makes it: lower case, ASCII, unique by its number.
pub(super) fn slug(title: &str, number: u32) -> String {
    let mut slug = String::new();
    for c in title.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        format!("tool-{number}")
    } else {
        format!("{slug}-{number}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_say_their_version() {
        assert_eq!(guid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(guid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn slugs_are_plain() {
        assert_eq!(slug("Über Größenrechner 7", 3), "ber-gr-enrechner-7-3");
        assert_eq!(slug("翻訳機", 9), "tool-9");
    }
}
