//! What libpq's parameters mean: from names and texts to an [`Endpoint`].

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::config::ChannelBinding;

use super::{
    Endpoint, Error, Host, Keepalives, PasswordSource, Place, Roots, SOCKET_FOLDERS, Secret,
    SessionKind, SslMode, TlsOptions,
};
use crate::postgres::url::{Parameters, wrong};

const DEFAULT_PORT: u16 = 5432;
/// When the URL says nothing. libpq would wait for ever, which nobody wants at night.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Endpoint {
    /// As [`Endpoint::parse`], in a given environment.
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
                .unwrap_or(ChannelBinding::Prefer),
            tcp_user_timeout: whole_number(&given, "tcp_user_timeout")?.map(Duration::from_millis),
            tell: None,
            is_watched: true,
        })
    }
}

impl Endpoint {
    /// Whether the URL or the environment names a database; else libpq takes that of the role's name.
    ///
    /// # Errors
    /// [`Error::Url`]
    pub fn names_database(
        url: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<bool, Error> {
        Ok(Parameters::parse(url, environment)?.get("dbname").is_some())
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

const CHANNEL_BINDINGS: [(ChannelBinding, &str); 3] = [
    (ChannelBinding::Disable, "disable"),
    (ChannelBinding::Prefer, "prefer"),
    (ChannelBinding::Require, "require"),
];

/// Refused rather than ignored: each would weaken or change what the operator asked for.
fn refuse_unsupported(given: &Parameters) -> Result<(), Error> {
    let refuse = |parameter, reason| Err(Error::Unsupported { parameter, reason });
    match given.get("gssencmode") {
        None | Some("disable" | "prefer") => {}
        Some(_) => {
            return refuse(
                "gssencmode",
                "there is no Kerberos in here; use sslmode=verify-full",
            );
        }
    }
    if given.get("sslcrl").is_some() {
        return refuse(
            "sslcrl",
            "revocation lists are not read; remove it, or connect through a proxy that does",
        );
    }
    if given.get("sslpassword").is_some() {
        return refuse(
            "sslpassword",
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
        Some(_) => refuse(
            "client_encoding",
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
                    wrong(format!(
                        "the port of host {} is not a number from 1 to 65535",
                        n + 1
                    ))
                })?,
            };
            let address = addresses.get(n).filter(|text| !text.is_empty());
            let address = address
                .map(|text| {
                    text.parse()
                        .map_err(|_| wrong(format!("hostaddr {} is not an address", n + 1)))
                })
                .transpose()?;
            if !names.get(n).is_none_or(|name| may_be_host(name)) {
                return Err(wrong(format!(
                    "host {} holds a character that no host name has",
                    n + 1
                )));
            }
            Ok(Host {
                place: place(names.get(n).map_or("", String::as_str), address, port),
                port,
            })
        })
        .collect()
}

/// Whether it is the folder of a socket, or can be a name or an address. What cannot would be asked of the name service, and shown.
fn may_be_host(name: &str) -> bool {
    let never = |c: char| c.is_control() || c.is_whitespace() || "/?#@[]\\\"'".contains(c);
    name.starts_with('/') || !name.contains(never)
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
            Err(wrong(format!("{name} is not one of {}", known.join(", "))))
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
        .map_err(|_| wrong(format!("{name} is not a whole number")))
}
