//! What the files of an application's folder tell of how it is run and configured: texts in, what is known out. Pure; one file for each kind of
//! text. Nothing of the application is executed, no secret is taken over. Not in here: reading the folder (`cli::init::folder`), and what a
//! draft makes of it (`draft`).

mod compose;
mod dotenv;
mod entry;
mod fleet;
mod libraries;
mod named;
mod pages;
mod ports;
mod scripts;
mod slots;
mod switch;
mod systemd;
mod yaml;

pub use self::entry::{is_started, makes_one, may_make_one, started};
use self::switch::{Choice, Surroundings};
use super::draft::known::{Found, Known};
use super::frameworks::Framework;
use crate::text::printable;

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path within the folder, with `/`.
    pub path: String,
    pub text: String,
}

impl File {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// A place in it, for people.
    fn at(&self, line: usize) -> String {
        format!("{}:{line}", printable(&self.path, 120))
    }
}

/// What is known besides the files.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around<'a> {
    /// The SQLite file's absolute path.
    pub source: &'a str,
    /// What stands before a path of the folder so that it is one from the runbook's folder: empty, or with a `/` at its end.
    pub prefix: &'a str,
    /// The critical tables, the most important first.
    pub tables: &'a [String],
    /// Who made the schema.
    pub framework: Option<&'static Framework>,
    /// The interpreter of the application's own environment, where it has one.
    pub python: Option<&'a str>,
    /// The framework's own program in that environment, where it has one.
    pub program: Option<&'a str>,
    /// The tag or commit that is checked out, and where that was seen.
    pub version: Option<(&'a str, &'a str)>,
}

/// Whole names of files that are read.
const NAMES: [&str; 27] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    "Procfile",
    "manage.py",
    "settings.py",
    "urls.py",
    "views.py",
    "app.py",
    "main.py",
    "gunicorn.conf.py",
    "appsettings.json",
    "appsettings.Production.json",
    "Program.cs",
    "schema.prisma",
    "database.yml",
    "routes.rb",
    "alembic.ini",
    "main.go",
    "artisan",
    "web.php",
    "api.php",
    "server.js",
    "app.js",
    "index.js",
    "main.ts",
];
/// Endings of names of files that are read.
const ENDS: [&str; 4] = [".env", ".service", ".target", ".sh"];
/// What a `.env` that nobody reads ends with.
const SAMPLES: [&str; 6] = ["example", "sample", "template", "dist", "test", "default"];
/// Folders of scripts.
const SCRIPTS: [&str; 4] = ["bin", "script", "scripts", "deploy"];
/// Files of code, in which routes and words for databases stand.
const CODE: [&str; 5] = [".py", ".js", ".ts", ".rb", ".go"];

/// Whether a file tells something, by its path within the folder.
pub fn is_wanted(path: &str) -> bool {
    let mut parts: Vec<&str> = path.split('/').collect();
    let name = parts.pop().unwrap_or_default();
    let is_env = name == ".env" || name.starts_with(".env.");
    if is_env || name.ends_with(".env") {
        return !SAMPLES.iter().any(|end| name.ends_with(end));
    }
    let in_settings = parts.last() == Some(&"settings") && name.ends_with(".py");
    let is_script = parts.last().is_some_and(|folder| SCRIPTS.contains(folder));
    NAMES.contains(&name)
        || libraries::is_list(path)
        || ENDS.iter().any(|end| name.ends_with(end))
        || in_settings
        || (is_script && !name.contains('.'))
}

/// What the files tell, the nearest to the folder's root first.
pub fn read(files: &[File], around: Around<'_>) -> Known {
    let all: Vec<&File> = files.iter().collect();
    let is_code = |file: &&&File| CODE.iter().any(|end| file.path.ends_with(end));
    let code: Vec<&File> = all
        .iter()
        .filter(|file| is_code(file) || matches!(file.name(), "Program.cs" | "web.php" | "api.php"))
        .copied()
        .collect();
    let settings = |file: &&&File| file.name() == "settings.py" || file.path.contains("settings/");
    let settings: Vec<&File> = code.iter().filter(settings).copied().collect();
    let surroundings = Surroundings {
        source: around.source,
        scheme: libraries::sqlalchemy(&all),
        code: &code,
    };
    let mut known = Known {
        folder_was_read: true,
        ..Known::default()
    };
    fleet::read(&all, around, surroundings, &mut known);
    if known.switch.key.is_none() {
        by_json(&all, around, surroundings, &mut known);
    }
    if known.switch.key.is_none() {
        by_name(&all, surroundings, &mut known);
    }
    known.figures = libraries::figures(&all, &settings);
    read_pages(&code, around, &mut known);
    read_scripts(&all, around, &mut known);
    read_migrations(&all, around, &mut known);
    spell_for_alembic(around, surroundings, &mut known);
    known.log_rules = all.iter().find_map(|file| rules_of(file.name()));
    known.version = around.version.map(|(text, at)| Found::text(text, at));
    known
}

/// Takes over the key that chooses the database, and what the migrations need of it.
fn take_choice(known: &mut Known, choice: &Choice, at: &str) {
    known.switch.key = Some(Found::text(&choice.key, at));
    known.switch.from = Some(Found::text(&choice.from, at));
    known.switch.to = choice.to.as_ref().map(|to| Found::text(to, at));
    known.notes.extend(choice.note.clone());
    // A word is a word for the migrations too: without it they would take the application's own, which is SQLite's.
    let told = choice.to.as_deref().filter(|_| !choice.key.contains('.'));
    if let Some(to) = told {
        let to = to.replace("{runtime_", "{target_");
        let (key, to) = (Found::text(&choice.key, ""), Found::text(&to, ""));
        known.migrate_env = Some(format!("{}: {}", key.yaml, to.yaml));
    }
}

/// No file that F1 could change was seen: the variable that the code asks for, or where SQLite is written down by hand.
fn by_name(files: &[&File], surroundings: Surroundings<'_>, known: &mut Known) {
    if let Some((variable, at)) = named::variable(files) {
        let scheme = surroundings.scheme.unwrap_or("postgresql");
        let to = format!("{{runtime_url:{scheme}}}");
        known.switch.key = Some(Found::text(&variable, at.clone()));
        known.switch.to = Some(Found::text(&to, at));
    } else if let Some(at) = named::by_hand(files) {
        known.notes.push(format!(
            "{at}: SQLite is written down here, and F1 changes a key of a .env or a JSON file: let the code take the address from a variable"
        ));
    }
}

/// The key in a file of .NET: the path of a value, with dots.
fn by_json(files: &[&File], around: Around<'_>, surroundings: Surroundings<'_>, known: &mut Known) {
    let mut settings: Vec<&&File> = files
        .iter()
        .filter(|file| file.name().starts_with("appsettings"))
        .collect();
    // What production has of its own has the longer name, and wins.
    settings.sort_by_key(|file| std::cmp::Reverse(file.name().len()));
    for file in settings {
        let text = file.text.trim_start_matches('\u{feff}');
        let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else {
            continue;
        };
        let mut entries = Vec::new();
        flatten(&json, "", &file.text, &mut entries);
        if let Some(choice) = switch::choice(&entries, surroundings) {
            let at = file.at(choice.line);
            take_choice(known, &choice, &at);
            let path = format!("{}{}", around.prefix, file.path);
            known.config.get_or_insert(Found::text(&path, at));
            return;
        }
    }
}

fn flatten(json: &serde_json::Value, path: &str, text: &str, entries: &mut Vec<dotenv::Entry>) {
    let line_of = |key: &str| {
        let quoted = format!("\"{key}\"");
        let mut lines = text.lines().enumerate();
        lines
            .find(|(_, line)| line.contains(&quoted))
            .map_or(1, |(n, _)| n + 1)
    };
    let Some(object) = json.as_object() else {
        return;
    };
    for (key, value) in object {
        let path = match path {
            "" => key.clone(),
            above => format!("{above}.{key}"),
        };
        match value.as_str() {
            Some(value) => entries.push(dotenv::Entry {
                key: path,
                value: value.to_owned(),
                line: line_of(key),
            }),
            None => flatten(value, &path, text, entries),
        }
    }
}

fn read_pages(code: &[&File], around: Around<'_>, known: &mut Known) {
    if known.ready.is_none() {
        known.ready = pages::ready(code).map(|page| Found::text(&page.path, page.at));
    }
    let page = pages::of_tables(code, around.tables);
    known.page = page.map(|page| Found::text(&page.path, page.at));
    let ready = known.ready.as_ref().map(|ready| bare(&ready.yaml));
    if let (Some(at), Some(ready)) = (pages::django_vendor(code), ready) {
        known.provider = Some(Found {
            yaml: format!(
                "{{ get: \"{{url}}{ready}\", sqlite: '\"sqlite\"', postgres: '\"postgresql\"' }}"
            ),
            at,
        });
    }
}

/// A path as it stands in a longer text.
fn bare(yaml: &str) -> String {
    let inner = yaml
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(yaml).to_owned()
}

fn read_scripts(files: &[&File], around: Around<'_>, known: &mut Known) {
    if known.is_managed() {
        return;
    }
    for file in files {
        let Some(line) = scripts::restarts(file) else {
            continue;
        };
        let program = format!("{}{}", around.prefix, file.path);
        let argv = [program.as_str(), "restart", "{instance}"];
        known
            .restart
            .get_or_insert(Found::command(argv, file.at(line)));
        if let Some((path, line)) = scripts::log(file) {
            let path = format!("{}{path}", around.prefix);
            known.log.get_or_insert(Found::text(&path, file.at(line)));
        }
    }
}

/// Files by which it is seen that the framework's own program is here.
fn marker(framework: &Framework) -> Option<&'static str> {
    Some(match framework.name {
        "Django" => "manage.py",
        "Laravel" => "artisan",
        "Alembic" => "alembic.ini",
        "Rails" => "database.yml",
        "Prisma" => "schema.prisma",
        "Knex" | "Sequelize" => "package.json",
        _ => return None,
    })
}

fn read_migrations(files: &[&File], around: Around<'_>, known: &mut Known) {
    let Some(framework) = around.framework else {
        return;
    };
    let Some(marker) = marker(framework) else {
        return;
    };
    let Some(file) = files.iter().find(|file| file.name() == marker) else {
        return;
    };
    let folder = file.path.strip_suffix(marker).unwrap_or_default();
    let mut yaml = framework.example.to_owned();
    if let (Some(program), Some((_, rest))) = (around.program, yaml.split_once(", ")) {
        yaml = format!("[{}, {rest}", Found::text(program, "").yaml);
    }
    if framework.name == "Django" {
        let program = around.python.unwrap_or("python");
        let script = format!("{}{folder}manage.py", around.prefix);
        yaml = Found::command([program, &script, "migrate", "--noinput"], "").yaml;
    }
    known.migrate = Some(Found {
        yaml,
        at: file.at(1),
    });
}

/// Where the database's address is not among what was read, Alembic is told it in the spelling of the driver that is there.
fn spell_for_alembic(around: Around<'_>, surroundings: Surroundings<'_>, known: &mut Known) {
    let is_alembic = around.framework.is_some_and(|f| f.name == "Alembic");
    if is_alembic
        && known.migrate_env.is_none()
        && let Some(scheme) = surroundings.scheme
    {
        let key = known.switch.key.as_ref();
        let key = key.map_or("DATABASE_URL", |key| key.yaml.as_str());
        known.migrate_env = Some(format!("{key}: \"{{target_url:{scheme}}}\""));
    }
}

/// The ready-made rules for the log of what such a file belongs to.
fn rules_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "manage.py" => "django",
        "artisan" | "composer.json" => "laravel",
        "Gemfile" | "routes.rb" => "rails",
        "package.json" => "node",
        "go.mod" => "go",
        "pyproject.toml" | "requirements.txt" | "alembic.ini" => "python",
        "Program.cs" | "appsettings.json" => "dotnet",
        _ => return None,
    })
}

/// The words of a line that stand in quotes.
fn quoted_words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find(['"', '\'']) {
        let quote = &rest[at..=at];
        let Some((word, behind)) = rest[at + 1..].split_once(quote) else {
            break;
        };
        words.push(word);
        rest = behind;
    }
    words
}

#[cfg(test)]
mod tests;
