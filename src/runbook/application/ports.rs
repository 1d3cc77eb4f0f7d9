//! Ports, as commands, variables and configuration files name them. Pure.

use std::sync::LazyLock;

use regex::Regex;

/// A port behind an option, or behind an address.
static PORT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?:--port[= ]|-p |--urls\S*:|--bind\S*[= ]\S*:|-b \S*:|(?:localhost|\d|\]|\*|\+|[\s'=]):)(\d{2,5})\b",
    )
    .expect("BUG: a constant pattern")
});

/// Variables that hold one.
const NAMES: [&str; 9] = [
    "PORT",
    "APP_PORT",
    "HTTP_PORT",
    "WEB_PORT",
    "SERVER_PORT",
    "LISTEN_PORT",
    "BIND",
    "LISTEN",
    "ASPNETCORE_URLS",
];

/// The first port that a command or an address names.
pub fn port_in(text: &str) -> Option<u16> {
    let mut hits = PORT.captures_iter(text);
    hits.find_map(|hit| hit.get(1)?.as_str().parse::<u16>().ok())
        .filter(|port| *port > 0)
}

/// The port that a variable holds.
pub fn port_of(name: &str, value: &str) -> Option<u16> {
    if !NAMES.contains(&name.to_uppercase().as_str()) {
        return None;
    }
    let alone = value.trim().trim_start_matches(':').parse::<u16>().ok();
    alone.or_else(|| port_in(value)).filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_found_where_commands_have_them() {
        assert_eq!(port_in("gunicorn --bind 127.0.0.1:5001 a.wsgi"), Some(5001));
        assert_eq!(port_in("gunicorn -b :8000 a.wsgi"), Some(8000));
        assert_eq!(port_in("uvicorn a:app --port 8001"), Some(8001));
        assert_eq!(port_in("http://localhost:5000"), Some(5000));
        assert_eq!(port_in("gunicorn a.wsgi --workers 40"), None);
        assert_eq!(port_of("PORT", "3000"), Some(3000));
        assert_eq!(port_of("ASPNETCORE_URLS", "http://+:5000"), Some(5000));
        assert_eq!(port_of("DB_PORT", "5432"), None);
    }
}
