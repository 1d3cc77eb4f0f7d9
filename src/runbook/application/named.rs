//! Where an application's own code and configuration name the variable that says which database it uses, or SQLite itself, although no file that
//! a runbook can change does. Pure.

use std::sync::LazyLock;

use regex::Regex;

use super::File;

/// A variable of the environment that holds a database's address, in the spellings of the usual languages.
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?:env\(|ENV\[|ENV\.fetch\(|environ\[|environ\.get\(|getenv\(|Getenv\(|process\.env\.|process\.env\[)\s*["']?(\w*(?:DATABASE|DB)_?(?:URL|URI|DSN))\b"#,
    )
    .expect("BUG: a constant pattern")
});
/// Files in which a database is configured by hand.
const CONFIGURED: [&str; 4] = [
    "alembic.ini",
    "database.yml",
    "schema.prisma",
    "settings.py",
];

/// The variable that holds the address, and where it is named.
pub fn variable(files: &[&File]) -> Option<(String, String)> {
    files.iter().find_map(|file| {
        let mut lines = file.text.lines().enumerate();
        lines.find_map(|(n, line)| {
            let mut hits = VARIABLE.captures_iter(line);
            let hit = hits.find(|hit| !is_of_another(&hit[1]))?;
            Some((hit[1].to_owned(), file.at(n + 1)))
        })
    })
}

/// Parts of names of variables that lead to another database than the application's own.
const OTHERS: [&str; 7] = [
    "MONGO", "REDIS", "INFLUX", "COUCH", "CACHE", "QUEUE", "TEST",
];

fn is_of_another(variable: &str) -> bool {
    let variable = variable.to_uppercase();
    OTHERS.iter().any(|part| variable.contains(part))
}

/// Where SQLite is named by hand.
pub fn by_hand(files: &[&File]) -> Option<String> {
    let mut configured = files
        .iter()
        .filter(|file| CONFIGURED.contains(&file.name()));
    configured.find_map(|file| {
        let mut lines = file.text.lines().enumerate();
        let names = |line: &str| {
            let line = line.trim_start();
            !line.starts_with(['#', ';', '/']) && line.to_lowercase().contains("sqlite")
        };
        let hit = lines.find(|(_, line)| names(line));
        hit.map(|(n, _)| file.at(n + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::application::tests::file;

    #[test]
    fn the_variable_is_known_in_the_usual_spellings() {
        let cases = [
            ("schema.prisma", "  url = env(\"DATABASE_URL\")"),
            ("database.yml", "  url: <%= ENV[\"DATABASE_URL\"] %>"),
            (
                "app.py",
                "uri = os.environ.get('DATABASE_URL', 'sqlite:///a.db')",
            ),
            ("server.js", "new Sequelize(process.env.DATABASE_URL)"),
            ("main.go", "db.Open(os.Getenv(\"DATABASE_URL\"))"),
        ];
        for (path, text) in cases {
            let file = file(path, text);
            let found = Some(("DATABASE_URL".to_owned(), format!("{path}:1")));
            assert_eq!(variable(&[&file]), found);
        }
        let mongo = file(
            "app.py",
            "os.getenv('MONGODB_URI')\nos.getenv('DATABASE_URL')",
        );
        let found = Some(("DATABASE_URL".to_owned(), "app.py:2".to_owned()));
        assert_eq!(variable(&[&mongo]), found);
        let other = file("app.py", "os.environ['DEBUG'] or os.environ['NODB_URLS']");
        assert_eq!(variable(&[&other]), None);
    }

    #[test]
    fn sqlite_by_hand_is_seen() {
        let ini = file(
            "alembic.ini",
            "[alembic]\n# sqlite\nsqlalchemy.url = sqlite:///a.db\n",
        );
        assert_eq!(by_hand(&[&ini]), Some("alembic.ini:3".to_owned()));
        let code = file("app.py", "sqlite3.connect('a.db')");
        assert_eq!(by_hand(&[&code]), None);
    }
}
