//! Units of systemd: which of them serves the application, from which file it takes its environment, at which port it listens. Pure. Not in
//! here: asking systemd (`cli::check`).

use super::ports::port_in;

/// A unit that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its name in which `{instance}` stands for `%i`, or the whole name where it is no template.
    pub name: String,
    /// Whether one file stands for many.
    pub is_template: bool,
    /// What it runs, and the line.
    pub exec: (String, usize),
    /// The file from which it takes its environment, with `{instance}` for `%i`, and the line.
    pub environment: Option<(String, usize)>,
}

impl Unit {
    /// Its name without the ending.
    pub fn stem(&self) -> &str {
        self.name.strip_suffix(".service").unwrap_or(&self.name)
    }
}

/// Words of a command that serves requests.
const SERVERS: [&str; 14] = [
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "daphne",
    "puma",
    "unicorn",
    "rails s",
    "octane",
    "artisan serve",
    "node",
    "npm",
    "dotnet",
    "java",
    "--port",
];
/// Words of one that does not.
const OTHERS: [&str; 18] = [
    "celery",
    "sidekiq",
    "worker",
    "queue",
    "cron",
    "scheduler",
    "migrate",
    "backup",
    "litestream",
    "exporter",
    "grafana",
    "redis-server",
    "pgbouncer",
    "nginx",
    "caddy",
    "haproxy",
    "autossh",
    "sshd",
];

/// Reads the file of a unit; `None` of one that serves nothing.
pub fn unit(file_name: &str, text: &str) -> Option<Unit> {
    let stem = file_name.strip_suffix(".service")?;
    let lines = joined(text);
    let of = |key: &str| {
        let hits = lines.iter().filter_map(move |(n, line)| {
            let (known, value) = line.split_once('=')?;
            (known.trim() == key).then(|| (value.trim().to_owned(), *n))
        });
        hits.collect::<Vec<_>>()
    };
    let exec = of("ExecStart").into_iter().next_back()?;
    let command = exec.0.to_lowercase();
    let told = format!("{stem} {command}");
    let serves = SERVERS.iter().any(|word| command.contains(word)) || port_in(&exec.0).is_some();
    if !serves || OTHERS.iter().any(|word| told.contains(word)) {
        return None;
    }
    let files = of("EnvironmentFile");
    let own = files.iter().find(|(file, _)| file.contains('%'));
    let environment = own.or(files.first());
    let is_template = stem.ends_with('@');
    Some(Unit {
        name: match is_template {
            true => format!("{stem}{{instance}}.service"),
            false => file_name.to_owned(),
        },
        is_template,
        exec,
        environment: environment
            .map(|(file, line)| (of_instance(file.trim_start_matches('-')), *line))
            .filter(|(file, _)| !file.contains('%')),
    })
}

/// `{instance}` where systemd has the instance's name.
pub fn of_instance(text: &str) -> String {
    text.replace("%i", "{instance}").replace("%I", "{instance}")
}

/// The instances of a template that another unit's file names: `shop@app-1.service`.
pub fn instances_named(template: &str, text: &str) -> Vec<String> {
    let Some(stem) = template.strip_suffix("{instance}.service") else {
        return Vec::new();
    };
    let words = text.split(|c: char| c.is_whitespace() || c == '=');
    let named = words.filter_map(|word| {
        let id = word.strip_prefix(stem)?.strip_suffix(".service")?;
        (!id.is_empty() && !id.contains('%')).then(|| id.to_owned())
    });
    let mut found: Vec<String> = Vec::new();
    for id in named {
        if !found.contains(&id) {
            found.push(id);
        }
    }
    found
}

/// Lines with those that a backslash continues, each with the number of its first; comments left out.
fn joined(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut begun: Option<(usize, String)> = None;
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('#') || line.starts_with(';') {
            continue;
        }
        let (number, mut whole) = begun.take().unwrap_or((n + 1, String::new()));
        match line.strip_suffix('\\') {
            Some(part) => {
                whole.push_str(part);
                begun = Some((number, whole));
            }
            None => {
                whole.push_str(line);
                lines.push((number, whole));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_tells_its_environment_and_what_it_runs() {
        let text = "[Service]\nEnvironmentFile=/etc/shop/common.env\nEnvironmentFile=-/etc/shop/%i.env\nExecStart=/srv/venv/bin/gunicorn \\\n  --bind 127.0.0.1:%i shop.wsgi\n";
        let read = unit("shop@.service", text).expect("a unit");
        assert_eq!(read.name, "shop@{instance}.service");
        assert!(read.is_template);
        assert_eq!(read.exec.1, 4);
        assert!(read.exec.0.ends_with("--bind 127.0.0.1:%i shop.wsgi"));
        let environment = Some(("/etc/shop/{instance}.env".to_owned(), 3));
        assert_eq!(read.environment, environment);
        let target = "[Unit]\nWants=shop@5001.service shop@5002.service\nAfter=shop@5001.service\n";
        assert_eq!(instances_named(&read.name, target), ["5001", "5002"]);
    }

    #[test]
    fn what_serves_nothing_is_no_instance() {
        let worker = "[Service]\nExecStart=/srv/venv/bin/celery -A shop worker\n";
        assert_eq!(unit("shop-worker.service", worker), None);
        assert_eq!(unit("shop.timer", worker), None);
        let exporter = "[Service]\nExecStart=/usr/bin/node_exporter --web.listen-address=:9100\n";
        assert_eq!(unit("node_exporter.service", exporter), None);
        let plain = "[Service]\nExecStart=/usr/bin/node server.js\n";
        let read = unit("shop.service", plain).expect("a unit");
        assert_eq!(
            (read.name.as_str(), read.is_template),
            ("shop.service", false)
        );
    }
}
