//! What a command is handed of an endpoint: its URL with the password and without, and its parts. Everything that a URL leaves to
//! libpq's environment or password file stands in it, so that a command that sees neither reaches the same database. Not in here: who may
//! see which form (`runbook::placeholders`).

use super::Endpoint;
use super::endpoint::{Host, Place};
use super::url::encoded;
use crate::runbook::placeholders::Placeholders;

/// Parameters of a URL's query that the rebuilt one states elsewhere, or that are secrets.
const RESTATED: [&str; 7] = [
    "user",
    "password",
    "host",
    "port",
    "dbname",
    "passfile",
    "sslpassword",
];

/// Placeholders that begin with `prefix` (`target`, `runtime`) for the database that this URL leads to: `_url`, `_host`, `_port`,
/// `_database`, `_user`, `_password`. A URL that cannot be read is handed over as it is written, to private places alone, and has no parts.
pub fn placeholders(prefix: &str, url: &str) -> Placeholders {
    let named = |part: &str| format!("{prefix}_{part}");
    let Ok(endpoint) = Endpoint::parse(url) else {
        return Placeholders::new().with_private(named("url"), None, url);
    };
    let host = endpoint.hosts.first();
    let password = host.and_then(|host| endpoint.password_for(host));
    let password = password.map(|(secret, _)| secret.0);
    let open = rebuilt(&endpoint, url, None);
    let mut values = Placeholders::new()
        .with(named("host"), host.map_or(String::new(), name_of))
        .with(named("port"), host.map_or(0, |h| h.port).to_string())
        .with(named("database"), endpoint.database())
        .with(named("user"), endpoint.user());
    values = match &password {
        Some(password) => values
            .with_private(named("password"), None, password)
            .with_private(
                named("url"),
                Some(open),
                rebuilt(&endpoint, url, Some(password)),
            ),
        // Whoever asks for a password gets an empty one: the database wants none.
        None => values
            .with_private(named("password"), None, "")
            .with(named("url"), open),
    };
    values
}

fn name_of(host: &Host) -> String {
    match &host.place {
        Place::Tcp { name, .. } => name.clone(),
        Place::Socket(folder) => folder.to_string_lossy().into_owned(),
    }
}

/// The URL with all that it leaves open. The scheme and whatever else its query states stay as they are written.
fn rebuilt(endpoint: &Endpoint, url: &str, password: Option<&str>) -> String {
    let url = url.trim();
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let mut parameters: Vec<String> = query
        .split('&')
        .filter(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            !pair.is_empty() && !RESTATED.contains(&name)
        })
        .map(str::to_owned)
        .collect();
    let mut login = encoded(endpoint.user());
    if let Some(password) = password {
        login.push(':');
        login.push_str(&encoded(password));
    }
    let is_socket = |host: &Host| matches!(host.place, Place::Socket(_));
    let hosts = if endpoint.hosts.iter().any(is_socket) {
        // Few but libpq read a folder in the host's place; in the query most do.
        let joined = |each: &dyn Fn(&Host) -> String| {
            let all: Vec<String> = endpoint.hosts.iter().map(each).collect();
            all.join(",")
        };
        parameters.insert(0, format!("host={}", joined(&name_of)));
        parameters.insert(
            1,
            format!("port={}", joined(&|h: &Host| h.port.to_string())),
        );
        String::new()
    } else {
        let labels: Vec<String> = endpoint.hosts.iter().map(Host::label).collect();
        labels.join(",")
    };
    let query = match parameters.is_empty() {
        true => String::new(),
        false => format!("?{}", parameters.join("&")),
    };
    format!(
        "{scheme}://{login}@{hosts}/{}{query}",
        encoded(endpoint.database())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::placeholders::Place as At;

    fn both(url: &str) -> (String, String) {
        let values = placeholders("target", url);
        let at = |place| values.filled_at("{target_url}", place).expect("a value");
        (at(At::Open), at(At::Private))
    }

    #[test]
    fn a_url_stands_complete_and_its_password_apart() {
        let (open, private) =
            both("postgresql://ann:p%40ss@db.internal/app?sslmode=require&application_name=x");
        assert_eq!(
            open,
            "postgresql://ann@db.internal:5432/app?sslmode=require&application_name=x"
        );
        assert_eq!(
            private,
            "postgresql://ann:p%40ss@db.internal:5432/app?sslmode=require&application_name=x"
        );
        let (open, private) = both("postgres://ann@/app?host=/run/pg&port=6&password=hunter2");
        assert_eq!(open, "postgres://ann@/app?host=/run/pg&port=6");
        assert_eq!(private, "postgres://ann:hunter2@/app?host=/run/pg&port=6");
        let (open, private) = both("postgres://ann:hunter2@a:1,b:2/app");
        assert_eq!(open, "postgres://ann@a:1,b:2/app");
        assert_eq!(private, "postgres://ann:hunter2@a:1,b:2/app");
    }

    #[test]
    fn a_url_leads_to_the_same_place_as_the_one_it_was_made_of() {
        for url in [
            "postgres://ann:p%40ss@db.internal/app?sslmode=require",
            "postgres://a%20b:x@[::1]:7/d%2Fe",
            "postgres://ann@/app?host=/run/pg&port=6&password=hunter2",
        ] {
            let (_, private) = both(url);
            let (there, here) = (Endpoint::parse(url), Endpoint::parse(&private));
            let (there, here) = (there.expect("a URL"), here.expect("a URL"));
            assert_eq!(here.redacted(), there.redacted());
            assert!(here.password == there.password, "{url}");
        }
    }

    #[test]
    fn parts_are_as_they_are_meant_and_not_as_they_are_written() {
        let values = placeholders("runtime", "postgres://ann:p%40ss@db/my%20app");
        let filled = values.filled_at(
            "{runtime_user} {runtime_password} {runtime_host} {runtime_port} {runtime_database}",
            At::Private,
        );
        assert_eq!(filled, Ok("ann p@ss db 5432 my app".to_owned()));
    }
}
