//! Where PostgreSQL is and how to get in, with libpq's meanings. Connecting itself is [`super::connect`].

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::url::{Parameters, encoded, wrong};
use super::{Error, passfile};

const DEFAULT_PORT: u16 = 5432;
/// Where libpq, as Debian and as upstream build it, looks for the socket when no host is named.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];
/// When the URL says nothing. libpq would wait for ever, which nobody wants at night.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A PostgreSQL database and how to connect to it. Neither its `Debug` nor [`Endpoint::redacted`] shows the password.
#[derive(Clone)]
pub struct Endpoint {
    pub(super) hosts: Vec<Host>,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) password: Option<(Secret, PasswordSource)>,
    pub(super) passfile: PathBuf,
    pub(super) tls: TlsOptions,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) options: Option<String>,
    pub(super) application_name: String,
    pub(super) session: SessionKind,
    pub(super) any_order: bool,
    pub(super) keepalives: Keepalives,
    pub(super) channel_binding: tokio_postgres::config::ChannelBinding,
    pub(super) tcp_user_timeout: Option<Duration>,
}

/// One server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) place: Place,
    pub(super) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A name or address, and the address to go to instead of asking for the name's.
    Tcp {
        name: String,
        address: Option<IpAddr>,
    },
    /// The folder of a Unix socket.
    Socket(PathBuf),
}

/// A password. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a password came from, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PasswordSource {
    Url,
    Environment,
    PasswordFile,
}

impl PasswordSource {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Url => "the URL",
            Self::Environment => "PGPASSWORD",
            Self::PasswordFile => "the password file",
        }
    }
}

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS only if the server insists.
    Allow,
    /// TLS if the server offers it.
    Prefer,
    /// TLS, any certificate.
    Require,
    /// TLS, a certificate from a trusted issuer.
    VerifyCa,
    /// TLS, a certificate from a trusted issuer for this very host.
    VerifyFull,
}

impl SslMode {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Disable, "disable"),
        (Self::Allow, "allow"),
        (Self::Prefer, "prefer"),
        (Self::Require, "require"),
        (Self::VerifyCa, "verify-ca"),
        (Self::VerifyFull, "verify-full"),
    ];

    /// As it stands in a URL.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(mode, _)| *mode == self)
            .expect("BUG: a mode without a name")
            .1
    }
}

/// What the URL says about TLS.
#[derive(Debug, Clone)]
pub(super) struct TlsOptions {
    /// `None`: the URL does not say. Then this machine gets `prefer`, everybody else `require`.
    pub(super) mode: Option<SslMode>,
    pub(super) roots: Roots,
    pub(super) client_certificate: Option<(PathBuf, PathBuf)>,
    pub(super) sni: bool,
    pub(super) direct: bool,
}

/// Whom a server's certificate has to come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// `sslrootcert=FILE`, or `~/.postgresql/root.crt` where that exists.
    File(PathBuf),
    /// The machine's own trust store.
    System,
}

/// libpq's `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionKind {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

impl SessionKind {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Any, "any"),
        (Self::ReadWrite, "read-write"),
        (Self::ReadOnly, "read-only"),
        (Self::Primary, "primary"),
        (Self::Standby, "standby"),
        (Self::PreferStandby, "prefer-standby"),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(kind, _)| *kind == self)
            .expect("BUG: a kind without a name")
            .1
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Keepalives {
    pub(super) on: bool,
    pub(super) idle: Duration,
    pub(super) interval: Duration,
    pub(super) retries: u32,
}

impl Endpoint {
    /// Reads a URL as libpq does, with libpq's environment variables and password file as defaults.
    ///
    /// # Errors
    /// [`Error::Url`] or [`Error::Unsupported`]; no message holds the password.
    pub fn parse(url: &str) -> Result<Self, Error> {
        Self::parse_in(url, &|name| std::env::var(name).ok())
    }

    /// As [`Endpoint::parse`], in a given environment.
    ///
    /// # Errors
    /// As there.
    pub fn parse_in(
        url: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let given = Parameters::parse(url, environment)?;
        refuse_unsupported(&given)?;
        let home = environment("HOME").map(PathBuf::from).unwrap_or_default();
        let user = given
            .get("user")
            .map(str::to_owned)
            .or_else(|| environment("USER"))
            .or_else(|| environment("LOGNAME"));
        let user = user.ok_or_else(|| wrong("it names no user"))?;
        let password = given.get("password").map(|password| {
            let source = if given.states("password") {
                PasswordSource::Url
            } else {
                PasswordSource::Environment
            };
            (Secret(password.to_owned()), source)
        });
        let seconds =
            |name| whole_number(&given, name).map(|number| number.map(Duration::from_secs));
        Ok(Self {
            hosts: hosts(&given)?,
            database: given.get("dbname").unwrap_or(&user).to_owned(),
            user,
            password,
            passfile: given
                .get("passfile")
                .map_or_else(|| home.join(".pgpass"), PathBuf::from),
            tls: TlsOptions::read(&given, &home)?,
            connect_timeout: match seconds("connect_timeout")? {
                None => Some(DEFAULT_CONNECT_TIMEOUT),
                Some(Duration::ZERO) => None,
                // libpq rounds one second up to two.
                Some(limit) => Some(limit.max(Duration::from_secs(2))),
            },
            options: given.get("options").map(str::to_owned),
            application_name: given
                .get("application_name")
                .unwrap_or("cutover")
                .to_owned(),
            session: one_of(&given, "target_session_attrs", &SessionKind::ALL)?
                .unwrap_or(SessionKind::Any),
            any_order: given.get("load_balance_hosts") == Some("random"),
            keepalives: Keepalives {
                on: given.get("keepalives") != Some("0"),
                idle: seconds("keepalives_idle")?.unwrap_or(Duration::from_secs(30)),
                interval: seconds("keepalives_interval")?.unwrap_or(Duration::from_secs(10)),
                retries: whole_number(&given, "keepalives_count")?
                    .map_or(3, |count| u32::try_from(count).unwrap_or(u32::MAX)),
            },
            channel_binding: one_of(&given, "channel_binding", &CHANNEL_BINDINGS)?
                .unwrap_or(tokio_postgres::config::ChannelBinding::Prefer),
            tcp_user_timeout: whole_number(&given, "tcp_user_timeout")?.map(Duration::from_millis),
        })
    }

    /// The same server, another database.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        Self {
            database: name.to_owned(),
            ..self.clone()
        }
    }

    /// The same server under another `application_name`.
    #[must_use]
    pub fn with_application_name(&self, name: &str) -> Self {
        Self {
            application_name: name.to_owned(),
            ..self.clone()
        }
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The role that logs in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether the password stands in the URL, where the process list shows it.
    pub fn has_password_in_url(&self) -> bool {
        matches!(self.password, Some((_, PasswordSource::Url)))
    }

    /// The `sslmode` that the URL states.
    pub fn stated_sslmode(&self) -> Option<SslMode> {
        self.tls.mode
    }

    /// A URL that shows everything but the password.
    pub fn redacted(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(Host::in_url).collect();
        let mode = self
            .tls
            .mode
            .map(|mode| format!("?sslmode={}", mode.name()))
            .unwrap_or_default();
        format!(
            "postgres://{}@{}/{}{mode}",
            encoded(&self.user),
            hosts.join(","),
            encoded(&self.database)
        )
    }

    /// Host and port, or the socket's folder; several with commas: what messages call it.
    pub fn host_label(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(Host::label).collect();
        hosts.join(", ")
    }

    /// The password for `host`, and where it came from. The password file is read anew each time: it may have been rotated.
    pub(super) fn password_for(&self, host: &Host) -> Option<(Secret, PasswordSource)> {
        if let Some(known) = &self.password {
            return Some(known.clone());
        }
        let name = match &host.place {
            Place::Tcp { name, .. } => name.clone(),
            Place::Socket(folder)
                if SOCKET_FOLDERS
                    .iter()
                    .any(|default| Path::new(default) == folder) =>
            {
                "localhost".into()
            }
            Place::Socket(folder) => folder.to_string_lossy().into_owned(),
        };
        let password =
            passfile::password(&self.passfile, &name, host.port, &self.database, &self.user)?;
        Some((Secret(password), PasswordSource::PasswordFile))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.redacted())
    }
}

impl Host {
    pub(super) fn label(&self) -> String {
        match &self.place {
            Place::Tcp { name, .. } if name.contains(':') => format!("[{name}]:{}", self.port),
            Place::Tcp { name, .. } => format!("{name}:{}", self.port),
            Place::Socket(folder) => format!("{}/.s.PGSQL.{}", folder.display(), self.port),
        }
    }

    fn in_url(&self) -> String {
        match &self.place {
            Place::Tcp { .. } => self.label(),
            Place::Socket(folder) => {
                format!("{}:{}", encoded(&folder.to_string_lossy()), self.port)
            }
        }
    }
}

impl TlsOptions {
    fn read(given: &Parameters, home: &Path) -> Result<Self, Error> {
        let mode = one_of(given, "sslmode", &SslMode::ALL)?;
        let default_root = home.join(".postgresql/root.crt");
        let (mode, roots) = match given.get("sslrootcert") {
            Some("system") if mode.is_some_and(|mode| mode < SslMode::VerifyFull) => {
                return Err(wrong(
                    "sslrootcert=system needs sslmode=verify-full: anybody can have a certificate from a public issuer",
                ));
            }
            Some("system") => (Some(SslMode::VerifyFull), Roots::System),
            // A root certificate makes `require` verify the chain, in libpq and so here.
            Some(file) => (mode.map(with_root), Roots::File(PathBuf::from(file))),
            None if default_root.is_file() => (mode.map(with_root), Roots::File(default_root)),
            None if mode == Some(SslMode::VerifyCa) => {
                return Err(wrong(
                    "sslmode=verify-ca needs the issuer: give sslrootcert=FILE, or use sslmode=verify-full",
                ));
            }
            None => (mode, Roots::System),
        };
        let client_certificate = match (given.get("sslcert"), given.get("sslkey")) {
            (Some(certificate), Some(key)) => {
                Some((PathBuf::from(certificate), PathBuf::from(key)))
            }
            (None, None) => {
                let (certificate, key) = (
                    home.join(".postgresql/postgresql.crt"),
                    home.join(".postgresql/postgresql.key"),
                );
                (certificate.is_file() && key.is_file()).then_some((certificate, key))
            }
            _ => return Err(wrong("sslcert and sslkey go together")),
        };
        Ok(Self {
            mode,
            roots,
            client_certificate,
            sni: given.get("sslsni") != Some("0"),
            direct: given.get("sslnegotiation") == Some("direct"),
        })
    }
}

fn with_root(mode: SslMode) -> SslMode {
    if mode == SslMode::Require {
        SslMode::VerifyCa
    } else {
        mode
    }
}

const CHANNEL_BINDINGS: [(tokio_postgres::config::ChannelBinding, &str); 3] = [
    (tokio_postgres::config::ChannelBinding::Disable, "disable"),
    (tokio_postgres::config::ChannelBinding::Prefer, "prefer"),
    (tokio_postgres::config::ChannelBinding::Require, "require"),
];

/// Refused rather than ignored: each would weaken or change what the operator asked for.
fn refuse_unsupported(given: &Parameters) -> Result<(), Error> {
    let refuse = |parameter, value: &str, reason| {
        Err(Error::Unsupported {
            parameter,
            value: value.to_owned(),
            reason,
        })
    };
    match given.get("gssencmode") {
        None | Some("disable" | "prefer") => {}
        Some(value) => {
            return refuse(
                "gssencmode",
                value,
                "there is no Kerberos in here; use sslmode=verify-full",
            );
        }
    }
    if let Some(value) = given.get("sslcrl") {
        return refuse(
            "sslcrl",
            value,
            "revocation lists are not read; remove it, or connect through a proxy that does",
        );
    }
    if given.get("sslpassword").is_some() {
        return refuse(
            "sslpassword",
            "…",
            "encrypted keys are not read; decrypt a copy of the key that only you can read",
        );
    }
    match given.get("client_encoding") {
        None | Some("auto") => Ok(()),
        Some(value)
            if value.eq_ignore_ascii_case("utf8") || value.eq_ignore_ascii_case("utf-8") =>
        {
            Ok(())
        }
        Some(value) => refuse(
            "client_encoding",
            value,
            "every session of ours is UTF-8; remove it",
        ),
    }
}

/// Hosts, addresses and ports are lists that go together; one port serves all.
fn hosts(given: &Parameters) -> Result<Vec<Host>, Error> {
    let list = |name: &str| {
        given
            .get(name)
            .map(|text| text.split(',').map(str::to_owned).collect::<Vec<_>>())
            .unwrap_or_default()
    };
    let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = names.len().max(addresses.len()).max(1);
    if !(names.is_empty() || names.len() == count)
        || !(addresses.is_empty() || addresses.len() == count)
    {
        return Err(wrong(
            "`host` and `hostaddr` list different numbers of hosts",
        ));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(wrong(format!(
            "it lists {} ports for {count} hosts",
            ports.len()
        )));
    }
    (0..count)
        .map(|n| {
            let port = ports
                .get(n)
                .or_else(|| ports.first().filter(|_| ports.len() == 1))
                .map_or("", String::as_str);
            let port = match port {
                "" => DEFAULT_PORT,
                text => text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
                    wrong(format!("the port {text:?} is not a number from 1 to 65535"))
                })?,
            };
            let address = addresses.get(n).filter(|text| !text.is_empty());
            let address = address
                .map(|text| {
                    text.parse()
                        .map_err(|_| wrong(format!("hostaddr {text:?} is not an address")))
                })
                .transpose()?;
            Ok(Host {
                place: place(names.get(n).map_or("", String::as_str), address, port),
                port,
            })
        })
        .collect()
}

fn place(name: &str, address: Option<IpAddr>, port: u16) -> Place {
    match (name, address) {
        ("", Some(address)) => Place::Tcp {
            name: address.to_string(),
            address: Some(address),
        },
        ("", None) => {
            let socket = SOCKET_FOLDERS
                .map(PathBuf::from)
                .into_iter()
                .find(|folder| folder.join(format!(".s.PGSQL.{port}")).exists());
            socket.map_or_else(
                || Place::Tcp {
                    name: "localhost".to_owned(),
                    address: None,
                },
                Place::Socket,
            )
        }
        (folder, None) if folder.starts_with('/') => Place::Socket(PathBuf::from(folder)),
        (name, address) => Place::Tcp {
            name: name.to_owned(),
            address,
        },
    }
}

fn one_of<T: Copy>(
    given: &Parameters,
    name: &'static str,
    all: &[(T, &'static str)],
) -> Result<Option<T>, Error> {
    let Some(text) = given.get(name) else {
        return Ok(None);
    };
    match all.iter().find(|(_, known)| *known == text) {
        Some((value, _)) => Ok(Some(*value)),
        None => {
            let known: Vec<&str> = all.iter().map(|(_, known)| *known).collect();
            Err(wrong(format!(
                "{name}={text:?} is not one of {}",
                known.join(", ")
            )))
        }
    }
}

fn whole_number(given: &Parameters, name: &'static str) -> Result<Option<u64>, Error> {
    let Some(text) = given.get(name) else {
        return Ok(None);
    };
    text.trim()
        .parse()
        .map(Some)
        .map_err(|_| wrong(format!("{name}={text:?} is not a whole number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint::parse_in(url, &|_| None).unwrap()
    }

    fn problem(url: &str) -> String {
        Endpoint::parse_in(url, &|_| None).unwrap_err().to_string()
    }

    #[test]
    fn shows_everything_but_the_password() {
        let endpoint =
            endpoint("postgres://ann:hunter2@a,b:7/app?sslmode=verify-full&sslrootcert=/ca.pem");
        assert_eq!(
            endpoint.redacted(),
            "postgres://ann@a:5432,b:7/app?sslmode=verify-full"
        );
        assert_eq!(endpoint.host_label(), "a:5432, b:7");
        assert!(endpoint.has_password_in_url());
        assert!(!format!("{endpoint:?} {:?}", endpoint.password).contains("hunter2"));
        assert_eq!(
            endpoint.with_database("other").redacted(),
            "postgres://ann@a:5432,b:7/other?sslmode=verify-full"
        );
    }

    #[test]
    fn defaults_are_libpqs() {
        let endpoint = endpoint("postgres://ann@h");
        assert_eq!((endpoint.database(), endpoint.user()), ("ann", "ann"));
        assert_eq!(endpoint.hosts[0].port, 5432);
        assert_eq!(endpoint.stated_sslmode(), None);
        let socket =
            Endpoint::parse_in("postgres://ann@/app?host=/run/pg&port=6", &|_| None).unwrap();
        assert_eq!(socket.host_label(), "/run/pg/.s.PGSQL.6");
    }

    #[test]
    fn what_would_weaken_the_connection_is_refused() {
        assert!(problem("postgres://u@h/d?sslmode=verify-ca").contains("sslrootcert"));
        assert!(
            problem("postgres://u@h/d?sslmode=require&sslrootcert=system").contains("verify-full")
        );
        assert!(problem("postgres://u@h/d?sslmode=verifyfull").contains("not one of"));
        assert!(problem("postgres://u@h/d?gssencmode=require").contains("gssencmode"));
        assert!(problem("postgres://u@h:70000/d").contains("70000"));
        assert!(problem("postgres://u@a,b,c:1,2/d?port=1,2").contains("ports"));
    }

    #[test]
    fn a_root_certificate_makes_require_verify() {
        let endpoint = endpoint("postgres://u@h/d?sslmode=require&sslrootcert=/ca.pem");
        assert_eq!(endpoint.stated_sslmode(), Some(SslMode::VerifyCa));
    }
}
