//! What an application needs, by the files of package managers: whether a library among it publishes metrics, which database libraries it
//! uses, which server's log it writes. Pure.

use super::File;
use crate::runbook::draft::known::Figures;

/// Files that list what an application needs.
const LISTS: [&str; 8] = [
    "pyproject.toml",
    "Pipfile",
    "package.json",
    "Gemfile",
    "go.mod",
    "composer.json",
    "setup.cfg",
    "environment.yml",
];
/// Libraries that publish figures of requests in Prometheus' format.
const METRICS: [&str; 15] = [
    "django-prometheus",
    "prometheus-flask-exporter",
    "starlette-exporter",
    "prometheus-fastapi-instrumentator",
    "prom-client",
    "express-prom-bundle",
    "fastify-metrics",
    "yabeda-prometheus",
    "prometheus_exporter",
    "prometheus-net.AspNetCore",
    "OpenTelemetry.Exporter.Prometheus.AspNetCore",
    "prometheus/client_golang",
    "promphp/prometheus_client_php",
    "spatie/laravel-prometheus",
    "micrometer-registry-prometheus",
];

/// Whether a file lists what an application needs.
pub fn is_list(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    LISTS.contains(&name)
        || name.ends_with(".csproj")
        || (name.starts_with("requirements") && name.ends_with(".txt"))
}

/// Whether its names are those of Python packages.
fn is_of_python(file: &File) -> bool {
    matches!(
        file.name(),
        "pyproject.toml" | "Pipfile" | "setup.cfg" | "environment.yml"
    ) || file.name().ends_with(".txt")
}

/// A text in which names of Python packages are as PEP 503 compares them: in small letters, each run of `-`, `_` and `.` one `-`.
fn normalised(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '-' | '_' | '.' if out.ends_with('-') => {}
            '-' | '_' | '.' => out.push('-'),
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}

/// Whether one of them names a library; the line counts from 1.
fn named<'f>(files: &[&'f File], library: &str) -> Option<(&'f File, usize)> {
    files.iter().find_map(|file| {
        let mut lines = file.text.lines().enumerate();
        let is_it = |line: &str| {
            let begins = line.trim_start();
            let is_comment = begins.starts_with('#') || begins.starts_with("//");
            !is_comment
                && match is_of_python(file) {
                    true => contains_word(&normalised(line), &normalised(library)),
                    false => contains_word(line, library),
                }
        };
        let hit = lines.find(|(_, line)| is_it(line));
        hit.map(|(n, _)| (*file, n + 1))
    })
}

fn contains_word(line: &str, word: &str) -> bool {
    let (line, word) = (line.to_lowercase(), word.to_lowercase());
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    line.match_indices(&word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Where figures of requests come from. `code` is looked at too, where a framework's own code names its applications.
pub fn figures(files: &[&File], code: &[&File]) -> Figures {
    let lists: Vec<&File> = files.iter().copied().filter(|f| is_list(&f.path)).collect();
    for library in METRICS {
        let underscored = library.replace('-', "_");
        let hit = named(&lists, library).or_else(|| named(code, &underscored));
        if let Some((file, line)) = hit {
            return Figures::Library {
                name: library.to_owned(),
                at: file.at(line),
            };
        }
    }
    let looked_at: Vec<&File> = lists.into_iter().chain(code.iter().copied()).collect();
    match looked_at.first() {
        Some(first) => Figures::None {
            looked_at: first.path.clone(),
        },
        None => Figures::Unknown,
    }
}

/// The scheme that SQLAlchemy wants for PostgreSQL by the driver that is there; `None` where nobody uses SQLAlchemy.
pub fn sqlalchemy(files: &[&File]) -> Option<&'static str> {
    let lists: Vec<&File> = files.iter().copied().filter(|f| is_list(&f.path)).collect();
    let has = |library: &str| named(&lists, library).is_some();
    let is_used = files.iter().any(|file| file.name() == "alembic.ini")
        || ["sqlalchemy", "flask-sqlalchemy", "sqlmodel", "alembic"]
            .into_iter()
            .any(has);
    if !is_used {
        return None;
    }
    let psycopg3 =
        (has("psycopg") || has("psycopg-binary")) && !has("psycopg2") && !has("psycopg2-binary");
    Some(match psycopg3 {
        true => "postgresql+psycopg",
        false => "postgresql",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::application::tests::file;

    #[test]
    fn a_library_that_publishes_is_found_and_its_absence_too() {
        let list = file(
            "requirements.txt",
            "Django==5.2\n# django-prometheus\ndjango_prometheus_not\n",
        );
        let none = Figures::None {
            looked_at: "requirements.txt".to_owned(),
        };
        assert_eq!(figures(&[&list], &[]), none);
        let list = file(
            "package.json",
            "{\n \"dependencies\": {\n \"prom-client\": \"^15\" } }",
        );
        let found = Figures::Library {
            name: "prom-client".to_owned(),
            at: "package.json:3".to_owned(),
        };
        assert_eq!(figures(&[&list], &[]), found);
        let settings = file(
            "settings.py",
            "INSTALLED_APPS = [\n 'django_prometheus',\n]",
        );
        let found = Figures::Library {
            name: "django-prometheus".to_owned(),
            at: "settings.py:2".to_owned(),
        };
        assert_eq!(figures(&[], &[&settings]), found);
        assert_eq!(figures(&[], &[]), Figures::Unknown);
    }

    #[test]
    fn names_of_python_packages_are_compared_as_pip_does() {
        let metrics = "prometheus-flask-exporter";
        for line in [
            "prometheus_flask_exporter==0.23.2",
            "Prometheus.Flask-Exporter",
            "prometheus__flask_exporter[extra]>=0.2",
        ] {
            let list = file("requirements.txt", &format!("Flask==3.1.3\n{line}\n"));
            let found = Figures::Library {
                name: metrics.to_owned(),
                at: "requirements.txt:2".to_owned(),
            };
            assert_eq!(figures(&[&list], &[]), found, "{line}");
        }
        let others = file("requirements.txt", "zope.sqlalchemy\npsycopg_pool\n");
        assert_eq!(named(&[&others], "sqlalchemy"), None);
        assert_eq!(named(&[&others], "psycopg"), None);
    }

    #[test]
    fn the_driver_decides_the_scheme() {
        let list = |text: &str| file("requirements.txt", text);
        let both = list("SQLAlchemy==2.0\npsycopg[binary]==3.2\n");
        assert_eq!(sqlalchemy(&[&both]), Some("postgresql+psycopg"));
        let old = list("sqlalchemy\npsycopg2-binary\n");
        assert_eq!(sqlalchemy(&[&old]), Some("postgresql"));
        assert_eq!(sqlalchemy(&[&list("Django")]), None);
        let alembic = [file("alembic.ini", "[alembic]"), list("psycopg==3.3.9\n")];
        let alembic: Vec<&File> = alembic.iter().collect();
        assert_eq!(sqlalchemy(&alembic), Some("postgresql+psycopg"));
    }
}
