//! By which texts production is known: the target's URLs in the forms in which programs take them, the live SQLite file, the instances.
//! Pure. A rehearsal runs no action that names one of them, and hands no variable to a command that leads to one. Not in here: identities
//! that only the world can tell, such as two names of one database (`cli::rehearse::identity`).

use std::path::Path;

use super::Runbook;

/// libpq's variables that say where to and as whom; those about TLS and time-outs lead nowhere by themselves.
const LIBPQ: [&str; 9] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGTARGETSESSIONATTRS",
];
/// Without these few programs start at all. They stay, even if a runbook names them.
const STAY: [&str; 12] = [
    "PATH",
    "HOME",
    "PWD",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "XDG_RUNTIME_DIR",
];
/// What the name of a variable holds that says something of a database.
const DATABASE_LIKE: [&str; 6] = ["DB", "DATABASE", "PG", "POSTGRES", "SQL", "DSN"];
/// Names of this host.
const HERE: [&str; 4] = ["localhost", "127.0.0.1", "::1", "[::1]"];

/// Whether a text names the database of this URL together with its host, as an address of whatever form.
pub fn names_database(url: &str, text: &str) -> bool {
    Database::of(url).is_some_and(|database| database.is_named_in(text))
}

/// What production is called.
#[derive(Clone, Default)]
pub struct Production {
    databases: Vec<Database>,
    source: String,
    instances: Vec<(String, String)>,
    names: Vec<String>,
}

/// Where one of the target's URLs leads to.
#[derive(Clone, PartialEq, Eq)]
struct Database {
    hosts: Vec<(String, String)>,
    name: String,
    user: String,
    password: String,
}

impl Production {
    /// What a runbook calls production. `source` is the live file as it is found from here.
    pub fn of(runbook: &Runbook, source: &Path) -> Production {
        let urls = [&runbook.target.url, &runbook.target.runtime_url];
        let mut databases: Vec<Database> = urls
            .into_iter()
            .filter_map(|url| Database::of(url))
            .collect();
        databases.dedup();
        let instances = runbook.fleet.instances.iter();
        Production {
            databases,
            source: source.to_string_lossy().into_owned(),
            instances: instances.map(|i| (i.id.clone(), i.url.clone())).collect(),
            names: runbook.production_names.iter().cloned().collect(),
        }
    }

    /// What of production a text names, in words.
    pub fn named_in(&self, text: &str) -> Option<String> {
        let by_its_end = || {
            let is_it = self.is_source_by_its_end(text);
            is_it.then(|| "the live SQLite file".to_owned())
        };
        self.database_named_in(text)
            .or_else(by_its_end)
            .or_else(|| {
                let host = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                let lower = text.to_lowercase();
                let named = self.instances.iter().find(|(_, url)| {
                    let mut addresses = addresses_of(url).into_iter();
                    !url.is_empty()
                        && (holds(text, url, |c| c.is_ascii_alphanumeric(), host)
                            || addresses.any(|address| holds(&lower, &address, host, host)))
                });
                named.map(|(id, _)| format!("the instance {id}"))
            })
    }

    /// Which of production's databases a text names, in words. A relative path is none here: whose folder it begins in is not known.
    fn database_named_in(&self, text: &str) -> Option<String> {
        if self.databases.iter().any(|d| d.is_named_in(text)) {
            return Some("the target's database".to_owned());
        }
        let path = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !self.source.is_empty() && holds(text, &self.source, |_| false, path) {
            return Some("the live SQLite file".to_owned());
        }
        None
    }

    /// Whether a text names the live file by a relative path, such as a command's, which begins in the runbook's folder.
    fn is_source_by_its_end(&self, text: &str) -> bool {
        let parts = |path: &str| -> Vec<String> {
            let parts = path
                .split('/')
                .filter(|part| !matches!(*part, "" | "." | ".."));
            parts.map(str::to_owned).collect()
        };
        let whole = parts(&self.source);
        let mut words = text.split(|c: char| c.is_whitespace() || "'\"`=,;:()<>|&?".contains(c));
        words.any(|word| {
            let named = parts(word);
            !word.starts_with('/') && !named.is_empty() && whole.ends_with(&named)
        })
    }

    /// Which of production's databases these settings of a program lead to: a value that names it, or a host and a database's name in two of them. In
    /// words, with the names of the settings and never a value.
    pub fn led_to_by(&self, settings: &[(String, String)]) -> Option<String> {
        let named = settings.iter().find_map(|(name, value)| {
            Some(format!("{name} names {}", self.database_named_in(value)?))
        });
        named.or_else(|| {
            self.databases
                .iter()
                .find_map(|d| d.is_put_together(settings))
        })
    }

    /// As [`Production::led_to_by`], of a configuration file: a setting a line.
    pub fn led_to_by_file(&self, text: &str) -> Option<String> {
        self.led_to_by(&settings_of(text))
    }

    /// Whether a variable is kept from commands of a rehearsal: it is one of those from which `source`, `target` and `fleet` are
    /// resolved, one of libpq's that say where to, or its value leads to production.
    pub fn is_led_to_by(&self, name: &str, value: &str) -> bool {
        if STAY.contains(&name) {
            return false;
        }
        let is_database_like = is_database_like(name);
        self.names.iter().any(|known| known == name)
            || LIBPQ.contains(&name)
            || self.named_in(value).is_some()
            || self
                .databases
                .iter()
                .any(|d| d.has_part(value, is_database_like))
    }
}

impl Database {
    /// Of a URL as libpq reads it; `None` where it is none.
    fn of(url: &str) -> Option<Database> {
        let (_, rest) = url.split_once("://")?;
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, name) = location.split_once('/').unwrap_or((location, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let stated = |wanted: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .into_iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| decoded(value))
        };
        let listed = |text: String| -> Vec<String> { text.split(',').map(str::to_owned).collect() };
        let ports = stated("port").map(listed).unwrap_or_default();
        let hosts = match stated("host").filter(|_| hosts.is_empty()) {
            Some(hosts) => listed(hosts),
            None => hosts.split(',').map(str::to_owned).collect(),
        };
        let hosts = hosts.iter().enumerate().filter(|(_, h)| !h.is_empty());
        let hosts = hosts.map(|(n, host)| match host.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                (decoded(host).to_lowercase(), port.to_owned())
            }
            _ => {
                let port = ports.get(n).or(ports.first());
                let port = port.map_or("5432", String::as_str);
                (decoded(host).to_lowercase(), port.to_owned())
            }
        });
        let user = stated("user").unwrap_or_else(|| decoded(user));
        let name = stated("dbname").unwrap_or_else(|| decoded(name));
        Some(Database {
            hosts: hosts.collect(),
            name: if name.is_empty() { user.clone() } else { name },
            password: stated("password").unwrap_or_else(|| decoded(password)),
            user,
        })
    }

    /// Whether a text names the database together with one of its hosts, in a URL or in the form of keywords.
    fn is_named_in(&self, text: &str) -> bool {
        let lower = text.to_lowercase();
        let hosts = self.hosts.iter();
        hosts
            .flat_map(|(host, port)| names_of(host).into_iter().map(move |name| (name, port)))
            .any(|(host, port)| {
                self.is_in_url(&lower, &host, port) || self.is_in_keywords(&lower, &host, port)
            })
    }

    /// `host/name`, `host:port/name`, and `name?host=folder`, with whatever scheme and login.
    fn is_in_url(&self, text: &str, host: &str, port: &str) -> bool {
        let of_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let name = self.name.to_lowercase();
        let after_host = |rest: &str| {
            let rest = match rest.strip_prefix(':') {
                Some(rest) => {
                    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                    if digits == 0 || &rest[..digits] != port {
                        return false;
                    }
                    &rest[digits..]
                }
                None => rest,
            };
            let named = rest.strip_prefix('/').and_then(|r| r.strip_prefix(&name));
            named.is_some_and(|rest| !rest.starts_with(of_name))
        };
        text.match_indices(host)
            .any(|(at, _)| !text[..at].ends_with(of_name) && after_host(&text[at + host.len()..]))
    }

    /// `host=h dbname=d`, `Host=h;Database=d` and the like, in one text.
    fn is_in_keywords(&self, text: &str, host: &str, port: &str) -> bool {
        let keyword = |keys: &[&str], value: &str| {
            keys.iter().any(|key| {
                text.match_indices(key).any(|(at, _)| {
                    let rest = text[at + key.len()..].trim_start();
                    let rest = rest.strip_prefix('=').map(str::trim_start);
                    let rest = rest.map(|r| r.trim_start_matches(['\'', '"']));
                    let of_value = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
                    rest.and_then(|r| r.strip_prefix(value))
                        .is_some_and(|r| !r.starts_with(of_value))
                })
            })
        };
        let name = self.name.to_lowercase();
        let has_port = text.contains("port=") || text.contains("port =");
        keyword(&["host", "hostaddr", "server", "data source"], host)
            && (keyword(&["dbname", "database", "initial catalog"], &name)
                || self.is_in_path_of_url(text, &name))
            && (!has_port || keyword(&["port"], port))
    }

    /// `…/name?`, where the host stands in the query.
    fn is_in_path_of_url(&self, text: &str, name: &str) -> bool {
        text.contains("://") && text.contains(&format!("/{name}?"))
    }

    /// Whether one setting is a host, and another one the name of the database there.
    fn is_put_together(&self, settings: &[(String, String)]) -> Option<String> {
        let is_port = |name: &str| name.to_ascii_uppercase().ends_with("PORT");
        let other_port = |port: &str| {
            let mut ports = settings.iter().filter(|(name, value)| {
                is_database_like(name) && is_port(name) && value.bytes().all(|b| b.is_ascii_digit())
            });
            ports.next().is_some_and(|(_, value)| value != port)
        };
        let leads = |(_, value): &&(String, String)| {
            self.hosts.iter().any(|(host, port)| {
                let names = names_of(host);
                let is = |text: &str| value.eq_ignore_ascii_case(text);
                names.iter().any(|host| is(&format!("{host}:{port}")))
                    || (names.iter().any(|host| is(host)) && !other_port(port))
            })
        };
        let (host, _) = settings.iter().find(leads)?;
        let (name, _) = settings.iter().find(|(name, value)| {
            is_database_like(name)
                && !self.name.is_empty()
                && value.eq_ignore_ascii_case(&self.name)
                && !name.to_ascii_uppercase().contains("USER")
        })?;
        Some(format!("{host} and {name} name the target's database"))
    }

    /// Whether a value is nothing but a part of the URL that leads there. What is called as the database or its user may mean much else,
    /// so the variable's name has to say that it is about one.
    fn has_part(&self, value: &str, is_database_like: bool) -> bool {
        let value = value.trim();
        let is = |part: &str| !part.is_empty() && value.eq_ignore_ascii_case(part);
        let is_host = self.hosts.iter().any(|(host, port)| {
            names_of(host)
                .iter()
                .any(|host| is(host) || is(&format!("{host}:{port}")))
        });
        is_host
            || (!self.password.is_empty() && value == self.password)
            || (is_database_like && (is(&self.name) || is(&self.user)))
    }
}

/// Whether a variable's name says that it is about a database.
fn is_database_like(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    DATABASE_LIKE.iter().any(|part| upper.contains(part))
}

/// The settings of a configuration file, whatever it is written in: what stands before the first `=` or `: ` of a line, and what stands
/// behind it, without quotes. Comments are none. A line of another form is a setting without a name.
fn settings_of(text: &str) -> Vec<(String, String)> {
    const QUOTES: [char; 5] = ['"', '\'', ',', ';', ' '];
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    let setting = |line: &str| {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let at = [line.find('='), line.find(": ")];
        let (name, value) = match at.into_iter().flatten().min() {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => ("", line),
        };
        let bare = |text: &str| text.trim().trim_matches(QUOTES).to_owned();
        match bare(name) {
            name if name.is_empty() => ("a line".to_owned(), bare(value)),
            name => (name, bare(value)),
        }
    };
    lines.map(setting).collect()
}

/// A host's names: of this host all that it is known to have.
fn names_of(host: &str) -> Vec<String> {
    match HERE.contains(&host) {
        true => HERE.map(str::to_owned).to_vec(),
        false => vec![host.to_owned()],
    }
}

/// `host:port` of an instance by each name of its host, where the URL says the port.
fn addresses_of(url: &str) -> Vec<String> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, at)| at);
    let Some((host, port)) = authority.rsplit_once(':') else {
        return Vec::new();
    };
    if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
        return Vec::new();
    }
    let names = names_of(&host.to_lowercase()).into_iter();
    names.map(|name| format!("{name}:{port}")).collect()
}

/// Whether a text holds a piece that is no part of a longer one.
fn holds(text: &str, piece: &str, before: fn(char) -> bool, after: fn(char) -> bool) -> bool {
    text.match_indices(piece).any(|(at, _)| {
        !text[..at].ends_with(before) && !text[at + piece.len()..].starts_with(after)
    })
}

/// With `%41` read as `A`; what is no such sequence stays.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests;
