//! Where PostgreSQL is and how to get in. What a URL means is [`read`], connecting is [`super::connect`].

mod read;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::silence::Tell;
use super::url::encoded;
use super::{Error, passfile};

/// Where libpq, as Debian and as upstream build it, looks for the socket when no host is named.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

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
    // Only Linux has it.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(super) tcp_user_timeout: Option<Duration>,
    /// Whom a wait for this database is told.
    pub(super) tell: Option<Tell>,
    /// Whether its connections are looked after; not the one that looks.
    pub(super) is_watched: bool,
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

    /// The same server, another database.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        Self {
            database: name.to_owned(),
            ..self.clone()
        }
    }

    /// The same server under another `application_name`; with an empty one the server is told none.
    #[must_use]
    pub fn with_application_name(&self, name: &str) -> Self {
        Self {
            application_name: name.to_owned(),
            ..self.clone()
        }
    }

    /// As it is, and whoever waits for it long is told so in a sentence, as is why a connection was given up.
    #[must_use]
    pub fn telling(&self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            tell: Some(std::sync::Arc::new(tell)),
            ..self.clone()
        }
    }

    /// For a look at a session of its own: a short one, with a limit.
    pub(super) fn unwatched(&self) -> Self {
        Self {
            is_watched: false,
            ..self.clone()
        }
    }

    /// Tells a sentence to whoever wants to know; to the program's own log in any case.
    pub(super) fn tell(&self, sentence: &str) {
        tracing::warn!(host = self.host_label(), "{sentence}");
        if let Some(tell) = &self.tell {
            tell(sentence);
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

    /// The URL of a database on this server for another role, password included. Of what this one's URL says, only the way to the server is in
    /// it, and that there is to be no TLS.
    pub fn url_for(&self, user: &str, password: &str, database: &str) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(Host::in_url).collect();
        let plain = match self.tls.mode {
            Some(SslMode::Disable) => "?sslmode=disable",
            _ => "",
        };
        format!(
            "postgres://{}:{}@{}/{}{plain}",
            encoded(user),
            encoded(password),
            hosts.join(","),
            encoded(database)
        )
    }

    /// Whether one server is named, and not several of which any may answer.
    pub fn names_one_server(&self) -> bool {
        self.hosts.len() == 1
    }

    /// Host and port, or the socket's folder; several with commas: what messages call it.
    pub fn host_label(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(Host::label).collect();
        hosts.join(", ")
    }

    /// Which database this is, whoever logs in: `host:port/name`.
    pub fn identity(&self) -> String {
        format!("{}/{}", self.host_label(), self.database)
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

    /// By which name a certificate is judged. There is no TLS on a Unix socket.
    pub(super) fn tls_name(&self) -> &str {
        match &self.place {
            Place::Tcp { name, .. } => name,
            Place::Socket(_) => "localhost",
        }
    }

    fn in_url(&self) -> String {
        match &self.place {
            // A zone of an IPv6 address stands behind a `%`.
            Place::Tcp { name, .. } if name.contains(':') => {
                format!("[{}]:{}", name.replace('%', "%25"), self.port)
            }
            Place::Tcp { name, .. } => format!("{}:{}", encoded(name), self.port),
            Place::Socket(folder) => {
                format!("{}:{}", encoded(&folder.to_string_lossy()), self.port)
            }
        }
    }
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
    fn what_is_shown_leads_to_the_same_place() {
        for url in [
            "postgres://u@a%2541/d",
            "postgres://u@[fe80::1%25eth0]:7/d",
            "postgres://u@b%C3%BCro,h:7/d%2Fe?sslmode=require",
            "postgres://u@%2Frun%2Fp%25g/d",
        ] {
            let (shown, first) = (endpoint(url).redacted(), endpoint(url));
            let again = endpoint(&shown);
            assert_eq!(again.redacted(), shown, "{url}");
            assert_eq!(again.identity(), first.identity(), "{url}");
        }
    }

    #[test]
    fn another_role_gets_a_url_of_its_own() {
        let admin = endpoint("postgres://ann:hunter2@h:7/app?sslmode=disable&connect_timeout=3");
        assert_eq!(
            admin.url_for("b/b", "p@w", "d"),
            "postgres://b%2Fb:p%40w@h:7/d?sslmode=disable"
        );
        let socket = endpoint("postgres://ann@%2Frun%2Fpg/app");
        assert_eq!(
            socket.url_for("b", "w", "d"),
            "postgres://b:w@%2Frun%2Fpg:5432/d"
        );
        assert!(Endpoint::names_database("postgres://ann@h/app", &|_| None).unwrap());
        assert!(!Endpoint::names_database("postgres://ann@h", &|_| None).unwrap());
    }

    #[test]
    fn what_can_be_no_host_is_refused() {
        for url in [
            "postgres://u@%12Frun%2Fpg/d",
            "postgres://u@h,a%0Ab/d",
            "postgres://u@a%40b/d",
            "postgres://u@/d?host=a%5Bb",
        ] {
            let problem = problem(url);
            assert!(problem.contains("no host name has"), "{url}: {problem}");
        }
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
        assert!(problem("postgres://u@h:70000/d").contains("host 1"));
        assert!(problem("postgres://u@a,b,c:1,2/d?port=1,2").contains("ports"));
    }

    #[test]
    fn a_root_certificate_makes_require_verify() {
        let endpoint = endpoint("postgres://u@h/d?sslmode=require&sslrootcert=/ca.pem");
        assert_eq!(endpoint.stated_sslmode(), Some(SslMode::VerifyCa));
    }
}
