//! libpq's connection URLs, taken apart into named parameters. Pure: the environment comes in as a function.
//!
//! `postgres://user:password@host1:port1,host2:port2/database?name=value`. What the parameters mean is [`super::endpoint`]'s
//! business; which names exist is decided here, so that a misspelt one is an error and not ignored.

use std::collections::BTreeMap;

use super::Error;

/// Every parameter of libpq's that a URL may hold, and the environment variable that stands in for it.
const PARAMETERS: &[(&str, Option<&str>)] = &[
    ("application_name", None), // libpq has PGAPPNAME; our sessions are always ours
    ("channel_binding", Some("PGCHANNELBINDING")),
    ("client_encoding", None), // always UTF-8
    ("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    ("dbname", Some("PGDATABASE")),
    ("fallback_application_name", None),
    ("gssencmode", Some("PGGSSENCMODE")),
    ("host", Some("PGHOST")),
    ("hostaddr", Some("PGHOSTADDR")),
    ("keepalives", None),
    ("keepalives_count", None),
    ("keepalives_idle", None),
    ("keepalives_interval", None),
    ("load_balance_hosts", Some("PGLOADBALANCEHOSTS")),
    ("options", Some("PGOPTIONS")),
    ("passfile", Some("PGPASSFILE")),
    ("password", Some("PGPASSWORD")),
    ("port", Some("PGPORT")),
    ("sslcert", Some("PGSSLCERT")),
    ("sslcrl", Some("PGSSLCRL")),
    ("sslkey", Some("PGSSLKEY")),
    ("sslmode", Some("PGSSLMODE")),
    ("sslnegotiation", Some("PGSSLNEGOTIATION")),
    ("sslpassword", None),
    ("sslrootcert", Some("PGSSLROOTCERT")),
    ("sslsni", Some("PGSSLSNI")),
    ("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    ("tcp_user_timeout", None),
    ("user", Some("PGUSER")),
];

/// A URL's parameters by libpq's names, hosts and ports as comma-separated lists.
#[derive(Default)]
pub(super) struct Parameters {
    stated: BTreeMap<&'static str, String>,
    from_environment: BTreeMap<&'static str, String>,
}

impl Parameters {
    /// Reads `url`, with what it does not state taken from the environment.
    pub(super) fn parse(
        url: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let url = url.trim();
        let rest = ["postgresql://", "postgres://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme))
            .ok_or_else(|| wrong("it does not begin with postgres:// or postgresql://"))?;
        let mut parameters = Self::default();
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = location.split_once('/').unwrap_or((location, ""));
        refuse_unencoded(rest, authority)?;
        let (login, hosts) = authority.split_once('@').unwrap_or(("", authority));
        parameters.login(login)?;
        parameters.hosts(hosts)?;
        parameters.set_unless_empty("dbname", decoded(database)?);
        for (n, pair) in query.split('&').filter(|p| !p.is_empty()).enumerate() {
            parameters.query_pair(pair, n + 1)?;
        }
        for (name, variable) in PARAMETERS {
            let value = variable
                .and_then(environment)
                .filter(|value| !value.is_empty());
            if let (false, Some(value)) = (parameters.stated.contains_key(name), value) {
                parameters.from_environment.insert(name, value);
            }
        }
        Ok(parameters)
    }

    /// The value, wherever it came from.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.stated
            .get(name)
            .or_else(|| self.from_environment.get(name))
            .map(String::as_str)
    }

    /// Whether the URL itself has it.
    pub(super) fn states(&self, name: &str) -> bool {
        self.stated.contains_key(name)
    }

    fn login(&mut self, login: &str) -> Result<(), Error> {
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        self.set_unless_empty("user", decoded(user)?);
        self.set_unless_empty("password", decoded(password)?);
        Ok(())
    }

    fn hosts(&mut self, hosts: &str) -> Result<(), Error> {
        if hosts.is_empty() {
            return Ok(());
        }
        let pairs = hosts
            .split(',')
            .map(host_and_port)
            .collect::<Result<Vec<_>, _>>()?;
        let (names, ports): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        if names.iter().any(|name| !name.is_empty()) {
            self.stated.insert("host", names.join(","));
        }
        if ports.iter().any(|port| !port.is_empty()) {
            self.stated.insert("port", ports.join(","));
        }
        Ok(())
    }

    /// Parameter `n` of the URL, from 1.
    fn query_pair(&mut self, pair: &str, n: usize) -> Result<(), Error> {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            wrong(format!(
                "parameter {n} behind the `?` has no value. {ENCODE}"
            ))
        })?;
        let (name, mut value) = (decoded(name)?, decoded(value)?);
        let mut canonical = name.as_str();
        if (canonical, value.as_str()) == ("ssl", "true") {
            // JDBC's spelling, which libpq accepts.
            (canonical, value) = ("sslmode", "require".to_owned());
        }
        match PARAMETERS.iter().find(|(known, _)| *known == canonical) {
            Some((known, _)) => {
                self.stated.insert(known, value);
                Ok(())
            }
            None => Err(wrong(unknown(canonical, n))),
        }
    }

    fn set_unless_empty(&mut self, name: &'static str, value: String) {
        if !value.is_empty() {
            self.stated.insert(name, value);
        }
    }
}

/// `host`, `host:port`, `[::1]:port`, each part possibly empty and percent-encoded.
fn host_and_port(text: &str) -> Result<(String, String), Error> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest
                .split_once(']')
                .ok_or_else(|| wrong("an IPv6 address lacks its `]`"))?;
            (address, after.strip_prefix(':').unwrap_or(after))
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong(format!("a port is not a number. {ENCODE}")));
    }
    Ok((decoded(host)?, port.to_owned()))
}

/// How a password has to be written. Said wherever what is wrong may be one.
const ENCODE: &str = "If that is part of a password: in a URL a password is percent-encoded, `/` as %2F, `?` as %3F, `#` as %23, `@` as %40, \
                      `:` as %3A, `%` as %25 and a blank as %20";

/// What other programs would read in another way, and we then, too, where the host is looked for: refused, without a word of it.
fn refuse_unencoded(rest: &str, authority: &str) -> Result<(), Error> {
    let behind = &rest[authority.len()..];
    let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
    let ambiguous = if authority.matches('@').count() > 1 {
        "two `@` stand before the host's end"
    } else if rest.contains('#') {
        "a `#` stands in it"
    } else if path.contains('@') || path.matches('/').count() > 1 {
        "an `@` or a second `/` stands behind the first `/`"
    } else if query.contains('@') && !is_host_and_port(authority) {
        "an `@` stands behind the `?`"
    } else {
        return Ok(());
    };
    Err(wrong(format!("{ambiguous}. {ENCODE}")))
}

/// Whether it is a host, or a list of them, without a login.
fn is_host_and_port(authority: &str) -> bool {
    !authority.contains('@')
        && authority.split(',').all(|host| {
            let port = host.rsplit_once(':').map_or("", |(_, port)| port);
            host.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit())
        })
}

/// Names only what we know, never what stands there: it may be part of a password.
fn unknown(name: &str, n: usize) -> String {
    let near = PARAMETERS
        .iter()
        .map(|(known, _)| *known)
        .max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
    let hint = near.filter(|near| strsim::jaro_winkler(name, near) > 0.85);
    let hint = hint
        .map(|near| format!("; did you mean {near:?}?"))
        .unwrap_or_else(|| format!(". {ENCODE}"));
    format!("parameter {n} behind the `?` is none that libpq knows{hint}")
}

/// Percent-decoded. A `+` stays a plus, as in libpq.
fn decoded(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == 0 {
            return Err(wrong(
                "a NUL byte stands in it, which ends every text of PostgreSQL's",
            ));
        }
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = after
            .get(..2)
            // A sign would be taken for a digit.
            .filter(|pair| pair.iter().all(u8::is_ascii_hexdigit))
            .and_then(|pair| std::str::from_utf8(pair).ok());
        match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            None | Some(0) => {
                return Err(wrong(
                    "a `%` is not followed by two hexadecimal digits (00 excepted); write a literal one as %25",
                ));
            }
            Some(byte) => bytes.push(byte),
        }
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| wrong("a percent-encoded part is not UTF-8"))
}

/// For the URL, percent-encoded where it has to be.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The URL's text is left out on purpose: it may hold a password in the wrong place.
pub(super) fn wrong(problem: impl Into<String>) -> Error {
    Error::Url {
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Parameters, String> {
        Parameters::parse(url, &|_| None).map_err(|error| error.to_string())
    }

    fn get(url: &str, name: &str) -> Option<String> {
        parse(url).unwrap().get(name).map(str::to_owned)
    }

    #[test]
    fn takes_libpqs_forms_apart() {
        let url =
            "postgresql://us%40er:p%2Fw@a:1,[::1]:2,c/d%20b?sslmode=require&options=-c%20x%3D1";
        assert_eq!(get(url, "user").unwrap(), "us@er");
        assert_eq!(get(url, "password").unwrap(), "p/w");
        assert_eq!(get(url, "host").unwrap(), "a,::1,c");
        assert_eq!(get(url, "port").unwrap(), "1,2,");
        assert_eq!(get(url, "dbname").unwrap(), "d b");
        assert_eq!(get(url, "options").unwrap(), "-c x=1");
        assert_eq!(
            get("postgres:///db?host=/run/pg&port=5", "host").unwrap(),
            "/run/pg"
        );
        assert_eq!(get("postgres://%2Frun%2Fpg/db", "host").unwrap(), "/run/pg");
        assert_eq!(
            get("postgres://h/db?ssl=true", "sslmode").unwrap(),
            "require"
        );
        assert_eq!(get("postgres://", "host"), None);
    }

    #[test]
    fn what_is_wrong_is_said_and_never_the_password() {
        for (url, expected) in [
            ("mysql://hunter2@h/db", "postgres://"),
            (
                "postgres://u:hunter2@h/db?sslmod=require",
                "did you mean \"sslmode\"",
            ),
            ("postgres://u:hunter2@h/db?verbose", "no value"),
            ("postgres://u:hunt%er2@h/db", "%25"),
            ("postgres://u:hunter2@[::1/db", "`]`"),
            ("postgres://u:x:y@h:54a/db", "not a number"),
            ("postgres://u:hunt/er2@h/db", "%2F"),
            ("postgres://u:hunt/er2", "%2F"),
            ("postgres://u:hunter2/x=1?y=2@h/db", "%2F"),
            ("postgres://u:hunt?er2@h/db", "%3F"),
            ("postgres://u:hunt?hunter2=1@h/db", "%3F"),
            ("postgres://u:12?hunter2=1@h/db", "%3F"),
            ("postgres://u:hunt#er2@h/db", "%23"),
            ("postgres://u:hunt@er2@h/db", "%40"),
            ("postgres://u:hunt%zzer2@h/db", "%25"),
            ("postgres://u:hunt%+4er2@h/db", "%25"),
            ("postgres://u:hunt\0er2@h/db", "NUL"),
            ("postgres://u:hunter2@h/d\0b", "NUL"),
            ("postgres://u:hunter2@h\0/db", "NUL"),
            ("postgres://u:p@s/hunter2@h/db", "%40"),
            ("postgres://u:p@h/db?hunter2=x", "libpq"),
            ("postgres://u:p@h:hunter2/db", "not a number"),
        ] {
            let message = parse(url).err().unwrap();
            assert!(message.contains(expected), "{url}: {message}");
            for part in ["hunt", "er2"] {
                assert!(!message.contains(part), "{url}: {message}");
            }
        }
    }

    #[test]
    fn what_libpq_reads_in_one_way_is_taken() {
        let user = |url: &str| get(url, "user").unwrap();
        assert_eq!(user("postgres://h:5432/db?user=ann@corp"), "ann@corp");
        assert_eq!(user("postgres://a:1,[::1]:2/db?user=ann@corp"), "ann@corp");
        assert_eq!(get("postgres://u:x:y@h/db", "password").unwrap(), "x:y");
    }

    #[test]
    fn the_environment_stands_in_and_the_url_wins() {
        let environment = |name: &str| (name == "PGPASSWORD").then(|| "from env".to_owned());
        let parameters = Parameters::parse("postgres://u@h/db", &environment).unwrap();
        assert_eq!(
            (parameters.get("password"), parameters.states("password")),
            (Some("from env"), false)
        );
        let parameters = Parameters::parse("postgres://u:x@h/db", &environment).unwrap();
        assert_eq!(
            (parameters.get("password"), parameters.states("password")),
            (Some("x"), true)
        );
    }
}
