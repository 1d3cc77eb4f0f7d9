//! The key by which a configuration file says which database an application uses: which it is, its value for SQLite, and the spelling that
//! PostgreSQL's needs. A value is copied only where it names SQLite and holds no password. Pure.

use super::dotenv::Entry;
use super::{File, quoted_words};
use crate::secret::has_password;

/// Parts of names of keys that say which database is used.
const NAMES: [&str; 9] = [
    "DB",
    "DATABASE",
    "DIALECT",
    "DRIVER",
    "ENGINE",
    "PROVIDER",
    "CLIENT",
    "ADAPTER",
    "CONNECTION",
];
/// How SQLite is called where one word says which database it is.
const SQLITE: [&str; 5] = [
    "sqlite",
    "sqlite3",
    "better-sqlite3",
    "django.db.backends.sqlite3",
    "microsoft.data.sqlite",
];
/// A connection string of .NET.
const ADO: [&str; 3] = ["data source=", "datasource=", "filename="];
const ADO_POSTGRES: &str = "Host={runtime_host};Port={runtime_port};Database={runtime_database};Username={runtime_user};Password={runtime_password}";

/// A key that says which database is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub key: String,
    /// Its value for SQLite, as the runbook writes it.
    pub from: String,
    /// Its value for PostgreSQL; `None` where nothing tells.
    pub to: Option<String>,
    /// Where the key stands, counted from 1.
    pub line: usize,
    /// What a person has to know.
    pub note: Option<String>,
    /// Of several keys of a file the one with the lowest is meant.
    pub rank: u8,
}

/// What decides the spelling.
#[derive(Debug, Clone, Copy, Default)]
pub struct Surroundings<'s> {
    /// The SQLite file's absolute path.
    pub source: &'s str,
    /// The scheme that the application's library wants for PostgreSQL.
    pub scheme: Option<&'s str>,
    /// The application's own code, which may compare the key's value with a word.
    pub code: &'s [&'s File],
}

/// The key of a file that chooses the database.
pub fn choice(entries: &[Entry], around: Surroundings<'_>) -> Option<Choice> {
    let candidates = entries.iter().filter_map(|entry| {
        let url = by_url(entry, around);
        url.or_else(|| by_word(entry, around))
    });
    candidates.min_by_key(|choice| (choice.rank, choice.line))
}

fn by_url(entry: &Entry, around: Surroundings<'_>) -> Option<Choice> {
    let value = entry.value.as_str();
    let lower = value.to_lowercase();
    if has_password(value) || names_a_secret(&lower) {
        return None;
    }
    let scheme = lower.split_once(':').map_or("", |(scheme, _)| scheme);
    let to = if ADO.iter().any(|begin| lower.starts_with(begin)) {
        ADO_POSTGRES.to_owned()
    } else if scheme.starts_with("sqlite") && scheme != lower {
        format!("{{runtime_url:{}}}", scheme_for(scheme, around))
    } else if scheme == "file" && looks_like_sqlite(&lower) {
        "{runtime_url:postgresql}".to_owned()
    } else {
        return None;
    };
    let (from, follows) = spelled(value, around.source);
    let note = (!follows).then(|| {
        format!(
            "{} names SQLite's file by another path than this one, so that a rehearsal could not lead it to its copy: write the absolute path {} there, and {{source_file}} in its place in F1's `from`",
            entry.key, around.source
        )
    });
    Some(Choice {
        key: entry.key.clone(),
        from,
        to: Some(to),
        line: entry.line,
        note,
        rank: rank(value, follows, around.source),
    })
}

/// Names of parameters whose values are secrets, in the connection strings of .NET, SQLCipher and libSQL.
const SECRETS: [&str; 6] = ["password=", "passwd=", "pwd=", "key=", "token=", "secret="];

/// Whether a value has such a parameter, however its own value is quoted.
fn names_a_secret(lower: &str) -> bool {
    let bare: String = lower.chars().filter(|c| !c.is_whitespace()).collect();
    SECRETS.iter().any(|name| bare.contains(name))
}

/// An address that leads to this file comes before one that only has its name, and that before one of another file: a cache, a queue.
fn rank(value: &str, follows: bool, source: &str) -> u8 {
    let name = source.rsplit('/').next().unwrap_or_default();
    match (follows, !name.is_empty() && value.contains(name)) {
        (true, _) => 0,
        (false, true) => 1,
        (false, false) => 2,
    }
}

fn scheme_for(scheme: &str, around: Surroundings<'_>) -> String {
    match scheme.split_once('+') {
        Some((_, "aiosqlite")) => "postgresql+asyncpg".to_owned(),
        _ => around.scheme.unwrap_or("postgresql").to_owned(),
    }
}

fn looks_like_sqlite(lower: &str) -> bool {
    let path = lower.split('?').next().unwrap_or_default();
    [".db", ".sqlite", ".sqlite3", ".db3"]
        .iter()
        .any(|end| path.ends_with(end))
}

/// A value in which what leads to the file follows the session; and whether it does.
fn spelled(value: &str, source: &str) -> (String, bool) {
    if source.is_empty() || !leads_to(value, source) {
        return (value.to_owned(), false);
    }
    if value == format!("sqlite:///{source}") {
        return ("{source_url}".to_owned(), true);
    }
    (value.replacen(source, "{source_file}", 1), true)
}

/// Whether the path stands there as a whole, and not as a part of a longer one.
fn leads_to(value: &str, source: &str) -> bool {
    let Some((before, behind)) = value.split_once(source) else {
        return false;
    };
    let is_begun = before.ends_with(|c: char| c.is_alphanumeric() || "._-".contains(c));
    let ends = behind.is_empty() || behind.starts_with(['?', ';', '&', '#', '"', '\'', ' ']);
    !is_begun && ends
}

fn by_word(entry: &Entry, around: Surroundings<'_>) -> Option<Choice> {
    let key = entry.key.to_uppercase();
    let is_named = NAMES.iter().any(|part| key.contains(part));
    if !is_named || !SQLITE.contains(&entry.value.to_lowercase().as_str()) {
        return None;
    }
    let to = word_in_code(&entry.key, around.code).or_else(|| usual_word(&key, &entry.value));
    Some(Choice {
        key: entry.key.clone(),
        from: entry.value.clone(),
        to,
        line: entry.line,
        note: None,
        rank: 3,
    })
}

/// Whether a word is how somebody calls PostgreSQL.
pub fn is_postgres(word: &str) -> bool {
    let lower = word.to_lowercase();
    matches!(lower.as_str(), "pg" | "pgsql" | "npgsql")
        || (lower.starts_with("postgres") && lower.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// The word for PostgreSQL with which the code compares the key's value, on a line that names the key.
fn word_in_code(key: &str, code: &[&File]) -> Option<String> {
    let bare = key.rsplit([':', '.']).next().unwrap_or(key);
    let lines = code.iter().flat_map(|file| file.text.lines());
    let with_key = lines.filter(|line| line.contains(bare));
    let mut words = with_key.flat_map(quoted_words);
    words.find(|word| is_postgres(word)).map(str::to_owned)
}

/// What frameworks call PostgreSQL under this key.
fn usual_word(key: &str, sqlite: &str) -> Option<String> {
    let word = match (key, sqlite) {
        (_, "django.db.backends.sqlite3") => "django.db.backends.postgresql",
        ("DB_CONNECTION", _) => "pgsql",
        (_, "better-sqlite3") => "pg",
        _ if key.ends_with("DIALECT") => "postgres",
        _ => return None,
    };
    Some(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::dotenv::entries;
    use super::*;

    fn chosen(text: &str) -> Option<(String, String, Option<String>)> {
        let around = Surroundings {
            source: "/srv/app.db",
            ..Surroundings::default()
        };
        let choice = choice(&entries(text), around)?;
        Some((choice.key, choice.from, choice.to))
    }

    fn is(text: &str, key: &str, from: &str, to: Option<&str>) {
        let wanted = (key.to_owned(), from.to_owned(), to.map(str::to_owned));
        assert_eq!(chosen(text), Some(wanted), "{text}");
    }

    #[test]
    fn a_url_that_names_sqlite_is_the_key() {
        let postgres = Some("{runtime_url:postgresql}");
        let text = "SECRET=x\nDATABASE_URL=sqlite:////srv/app.db\n";
        is(text, "DATABASE_URL", "{source_url}", postgres);
        let text = "DATABASE_URL=file:/srv/app.db\n";
        is(text, "DATABASE_URL", "file:{source_file}", postgres);
        let text = "DATABASE_URL=sqlite+aiosqlite:////srv/app.db\n";
        let asynchronous = Some("{runtime_url:postgresql+asyncpg}");
        is(
            text,
            "DATABASE_URL",
            "sqlite+aiosqlite:///{source_file}",
            asynchronous,
        );
        let text = "ConnectionStrings__Default=\"Data Source=/srv/app.db\"\n";
        let from = "Data Source={source_file}";
        is(text, "ConnectionStrings__Default", from, Some(ADO_POSTGRES));
    }

    #[test]
    fn a_relative_path_stays_and_is_told() {
        let around = Surroundings {
            source: "/srv/app.db",
            ..Surroundings::default()
        };
        let read = choice(&entries("DATABASE_URL=sqlite:///app.db"), around).expect("a key");
        assert_eq!(read.from, "sqlite:///app.db");
        assert!(read.note.is_some_and(|note| note.contains("/srv/app.db")));
    }

    #[test]
    fn the_address_of_this_file_comes_before_others_whatever_stands_first() {
        let postgres = Some("{runtime_url:postgresql}");
        let text = "CACHE_URL=sqlite:///cache.db\nMAIN_URL=sqlite:////srv/app.db\n";
        is(text, "MAIN_URL", "{source_url}", postgres);
        let text = "CACHE_URL=sqlite:///cache.db\nMAIN_URL=sqlite:///data/app.db\n";
        is(text, "MAIN_URL", "sqlite:///data/app.db", postgres);
        for longer in ["sqlite:////mnt/srv/app.db", "sqlite:////srv/app.db.old"] {
            is(&format!("URL={longer}\n"), "URL", longer, postgres);
        }
    }

    #[test]
    fn no_secret_of_an_address_is_taken_over() {
        for value in [
            "Data Source=/srv/app.db;Password=\"hunter2\"",
            "Data Source=/srv/app.db;Password = hunter2",
            "file:/srv/app.db?hexkey=hunter2",
            "sqlite:////srv/app.db?authToken=hunter2",
        ] {
            assert_eq!(chosen(&format!("DATABASE_URL={value}\n")), None, "{value}");
        }
    }

    #[test]
    fn a_word_is_the_key_where_another_holds_the_address() {
        let text = "DB_CONNECTION=sqlite\nDB_DATABASE=/srv/app.db\nDB_PASSWORD=hunter2\n";
        is(text, "DB_CONNECTION", "sqlite", Some("pgsql"));
        let text = "DB=sqlite\nSQLITE_FILE=/srv/app.db\nDATABASE_URL=postgres://a:b@h/d\n";
        is(text, "DB", "sqlite", None);
        is(
            "DB_DIALECT=sqlite",
            "DB_DIALECT",
            "sqlite",
            Some("postgres"),
        );
        assert_eq!(
            chosen("CACHE=sqlite\nDATABASE_URL=postgres://a:b@h/d"),
            None
        );
    }

    #[test]
    fn the_code_tells_the_other_word() {
        let code = File {
            path: "settings.py".to_owned(),
            text: "x = postgres(C[\"DATABASE_URL\"]) if C.get(\"DB\") == \"postgres\" else 1"
                .to_owned(),
        };
        let around = Surroundings {
            code: &[&code],
            ..Surroundings::default()
        };
        let read = choice(&entries("DB=sqlite"), around).expect("a key");
        assert_eq!(read.to.as_deref(), Some("postgres"));
    }
}
