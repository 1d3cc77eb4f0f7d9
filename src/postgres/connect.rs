//! Connecting: hosts in turn, TLS as asked for, every failure by its kind.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use rand::seq::SliceRandom;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{SslMode as DriverSslMode, SslNegotiation};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, Connection, SimpleQueryMessage};

use super::endpoint::{Endpoint, Host, Place, SessionKind, SslMode};
use super::error::{io_of, server_message};
use super::silence::{self, Pulse, Watched};
use super::{Error, tls};
use crate::secret;
use crate::text::printable;

/// A request to cancel is one small message; a server that does not take it in this time will not take it at all.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the server may take to say who the session is, where the URL sets no limit for connecting.
const ASK_PID_LIMIT: Duration = Duration::from_secs(10);

impl Endpoint {
    /// Connects and spawns the connection's own task, which ends when the client is dropped. The session's settings are the
    /// server's; [`super::session_settings`] pins them.
    ///
    /// # Errors
    /// One variant per reason, naming the host.
    pub async fn connect(&self) -> Result<Client, Error> {
        self.connect_with(|notice| {
            tracing::debug!(
                notice = printable(notice.message(), 400),
                "notice from PostgreSQL"
            )
        })
        .await
    }

    /// As [`Endpoint::connect`]; every notice of the server goes to `on_notice`, whose text is foreign.
    pub async fn connect_with(
        &self,
        on_notice: impl Fn(&DbError) + Send + Sync + Clone + 'static,
    ) -> Result<Client, Error> {
        let mut hosts: Vec<&Host> = self.hosts.iter().collect();
        if self.any_order {
            hosts.shuffle(&mut rand::rng());
        }
        let wanted = match self.session {
            SessionKind::PreferStandby => vec![SessionKind::Standby, SessionKind::Any],
            kind => vec![kind],
        };
        let mut failure = None;
        for kind in wanted {
            for host in &hosts {
                match self.connect_to(host, &on_notice).await {
                    Ok(client) if is_of_kind(&client, kind).await? => return Ok(client),
                    Ok(_) => {}
                    Err(error) if is_about_this_host_only(&error) => failure = Some(error),
                    // The server has spoken: the next one would say the same, and a wrong password tried twice may lock a role.
                    Err(error) => return Err(error),
                }
            }
        }
        Err(failure.unwrap_or_else(|| Error::WrongServerRole {
            host: self.host_label(),
            wanted: self.session.name(),
        }))
    }

    /// Asks the server to cancel what the session behind `token` is doing. The server does not say whether there was anything. Of
    /// several hosts each is asked: one that does not know the session takes no notice.
    ///
    /// # Errors
    /// The request could not be delivered.
    pub async fn cancel(&self, token: &CancelToken) -> Result<(), Error> {
        let mut answer = Ok(());
        let mut delivered = false;
        for host in &self.hosts {
            let request = tokio::time::timeout(CANCEL_TIMEOUT, self.cancel_at(host, token));
            match request.await {
                Ok(Ok(())) => delivered = true,
                Ok(Err(error)) => answer = Err(error),
                Err(_) => {
                    answer = Err(Error::Timeout {
                        host: host.label(),
                        seconds: CANCEL_TIMEOUT.as_secs(),
                    });
                }
            }
        }
        if delivered { Ok(()) } else { answer }
    }

    async fn cancel_at(&self, host: &Host, token: &CancelToken) -> Result<(), Error> {
        // The driver knows whether the session was encrypted, and how the certificate was judged was settled then.
        let mode = self.tls.mode.unwrap_or(SslMode::Require);
        let mode = mode.max(SslMode::Require);
        let address = match &host.place {
            Place::Tcp { address, .. } => *address,
            Place::Socket(_) => None,
        };
        let socket = self.socket(host, address).await;
        let socket = socket.map_err(|io| classify_io(host.label(), &io, self.connect_timeout))?;
        let pulse = Arc::default();
        let handshake = tls::connector(&self.tls, mode)?.handshake(host.tls_name(), &pulse);
        let wire = Watched::socket(socket, pulse);
        let cancelled = token.cancel_query_raw(wire, handshake).await;
        cancelled.map_err(|error| Error::of_statement("cancel a statement", &error))
    }

    /// Every address of one host, in the resolver's order.
    async fn connect_to(
        &self,
        host: &Host,
        on_notice: &(impl Fn(&DbError) + Send + Sync + Clone + 'static),
    ) -> Result<Client, Error> {
        let addresses: Vec<Option<IpAddr>> = match &host.place {
            Place::Socket(_) => vec![None],
            Place::Tcp {
                address: Some(address),
                ..
            } => vec![Some(*address)],
            Place::Tcp {
                name,
                address: None,
            } => resolve(name, host.port, self.connect_timeout).await?,
        };
        let mut failure = Error::UnknownHost { host: host.label() };
        for address in addresses {
            for mode in self.modes(host, address) {
                match self.attempt(host, address, mode, on_notice.clone()).await {
                    Ok(client) => return Ok(client),
                    // Another mode may be let in.
                    Err(error @ Error::NotAuthorised { .. }) => failure = error,
                    Err(error) if is_about_this_host_only(&error) => {
                        failure = error;
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Err(failure)
    }

    /// The modes to try on one address, in order. `pg_hba.conf` can refuse one and let the other in, which is what libpq's
    /// `allow` and `prefer` are about.
    fn modes(&self, host: &Host, address: Option<IpAddr>) -> Vec<SslMode> {
        let on_this_machine = address.is_none_or(|address| address.is_loopback());
        match (&host.place, self.tls.mode) {
            (Place::Socket(_), _) => vec![SslMode::Disable],
            (_, Some(SslMode::Allow)) => vec![SslMode::Disable, SslMode::Require],
            (_, Some(SslMode::Prefer)) => vec![SslMode::Prefer, SslMode::Disable],
            (_, Some(mode)) => vec![mode],
            (_, None) if on_this_machine => vec![SslMode::Prefer],
            (_, None) => vec![SslMode::Require],
        }
    }

    async fn attempt(
        &self,
        host: &Host,
        address: Option<IpAddr>,
        mode: SslMode,
        on_notice: impl Fn(&DbError) + Send + 'static,
    ) -> Result<Client, Error> {
        let connector = tls::connector(&self.tls, mode)?;
        let password = self.password_for(host);
        secret::learn(
            password.iter().map(|(known, _)| {
                secret::Secret::Password(secret::Password {
                    value: known.0.clone(),
                    user: self.user.clone(),
                })
            }),
            [],
        );
        let config = self.config(mode, password.as_ref().map(|(secret, _)| secret.0.as_str()));
        let pulse = Arc::new(Pulse::default());
        let handshake = connector.handshake(host.tls_name(), &pulse);
        let connecting = async {
            let socket = self.socket(host, address).await;
            let socket =
                socket.map_err(|io| classify_io(host.label(), &io, self.connect_timeout))?;
            let wire = Watched::socket(socket, Arc::clone(&pulse));
            config.connect_raw(wire, handshake).await.map_err(|error| {
                let source = password.as_ref().map(|(_, source)| *source);
                self.classify(host, mode, &error, source, pulse.has_handshake_begun())
            })
        };
        let (client, connection) = match self.connect_timeout {
            Some(limit) => tokio::time::timeout(limit, connecting)
                .await
                .map_err(|_| Error::Timeout {
                    host: host.label(),
                    seconds: limit.as_secs(),
                })??,
            None => connecting.await?,
        };
        pulse.begin();
        let (pid, known_pid) = tokio::sync::oneshot::channel();
        let watched = self.is_watched.then(|| self.clone());
        let silence = async move {
            match (watched, known_pid.await) {
                (Some(endpoint), Ok(pid)) => silence::until_lost(&pulse, &endpoint, pid).await,
                _ => std::future::pending().await,
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                () = carry(connection, on_notice) => {}
                why = silence => tracing::warn!("a connection to PostgreSQL was given up: {why}"),
            }
        });
        if self.is_watched
            && let Some(own) = own_pid(&client, self.connect_timeout).await
        {
            // Whoever would take it has ended with the connection.
            let _ = pid.send(own);
        }
        Ok(client)
    }

    fn config(&self, mode: SslMode, password: Option<&str>) -> Config {
        let mut config = Config::new();
        config
            .user(&self.user)
            .dbname(&self.database)
            .channel_binding(self.channel_binding)
            .ssl_mode(match mode {
                SslMode::Disable => DriverSslMode::Disable,
                SslMode::Allow | SslMode::Prefer => DriverSslMode::Prefer,
                SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                    DriverSslMode::Require
                }
            });
        if !self.application_name.is_empty() {
            config.application_name(&self.application_name);
        }
        if let Some(password) = password {
            config.password(password);
        }
        if let Some(options) = &self.options {
            config.options(options);
        }
        if self.tls.direct && mode >= SslMode::Require {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        config
    }

    fn classify(
        &self,
        host: &Host,
        mode: SslMode,
        error: &tokio_postgres::Error,
        password_source: Option<super::endpoint::PasswordSource>,
        handshake_begun: bool,
    ) -> Error {
        let label = host.label();
        if let Some(db) = error.as_db_error() {
            return self.classify_answer(label, db, password_source);
        }
        if let Some(io) = io_of(error) {
            return classify_io(label, io, self.connect_timeout);
        }
        if mode >= SslMode::Require && !handshake_begun {
            let why = match self.tls.mode {
                Some(_) => "the URL's sslmode asks for it",
                None => {
                    "the host is another machine; if plain text is meant, state sslmode=disable"
                }
            };
            return Error::PlainTextRefused { host: label, why };
        }
        if password_source.is_none() {
            return Error::NoPassword {
                host: label,
                user: self.user.clone(),
                passfile: self.passfile.clone(),
            };
        }
        Error::Protocol {
            doing: "log in to PostgreSQL",
            message: printable(&error.to_string(), 400),
        }
    }

    fn classify_answer(
        &self,
        host: String,
        db: &DbError,
        source: Option<super::endpoint::PasswordSource>,
    ) -> Error {
        let (user, database, message) =
            (self.user.clone(), self.database.clone(), server_message(db));
        let code = db.code();
        if *code == SqlState::INVALID_PASSWORD {
            return match source {
                Some(source) => Error::WrongPassword {
                    host,
                    user,
                    password_source: source.name(),
                },
                None => Error::NoPassword {
                    host,
                    user,
                    passfile: self.passfile.clone(),
                },
            };
        }
        if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
            return Error::NotAuthorised {
                host,
                user,
                message,
            };
        }
        if *code == SqlState::INVALID_CATALOG_NAME {
            return Error::UnknownDatabase { host, database };
        }
        if [
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        ]
        .contains(code)
        {
            return Error::NoConnect {
                host,
                user,
                database,
                message,
            };
        }
        if *code == SqlState::TOO_MANY_CONNECTIONS {
            return Error::TooManyConnections { host, message };
        }
        if [
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
        ]
        .contains(code)
        {
            return Error::NotReady { host, message };
        }
        Error::Sql {
            doing: "connect",
            sqlstate: code.code().to_owned(),
            message,
        }
    }
}

/// Carries messages both ways until the client is dropped or the connection ends.
async fn carry<S, T>(mut connection: Connection<S, T>, on_notice: impl Fn(&DbError) + Send)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut messages =
        futures_util::stream::poll_fn(move |context| connection.poll_message(context));
    while let Some(message) = messages.next().await {
        match message {
            Ok(AsyncMessage::Notice(notice)) => on_notice(&notice),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(
                    error = printable(&error.to_string(), 400),
                    "a connection to PostgreSQL ended"
                );
                break;
            }
        }
    }
}

/// By what the server knows the session; unknown where it does not say so in time.
async fn own_pid(client: &Client, limit: Option<Duration>) -> Option<i32> {
    let ask = client.simple_query("SELECT pg_backend_pid()");
    let answer = tokio::time::timeout(limit.unwrap_or(ASK_PID_LIMIT), ask).await;
    let rows = answer.ok()?.ok()?;
    rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    })
}

fn classify_io(host: String, io: &std::io::Error, limit: Option<Duration>) -> Error {
    if let Some(tls) = io
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        return Error::Tls {
            host,
            reason: tls::explain(tls),
        };
    }
    match io.kind() {
        ErrorKind::ConnectionRefused => Error::Refused { host },
        ErrorKind::TimedOut => Error::Timeout { host, seconds: limit.unwrap_or_default().as_secs() },
        ErrorKind::NotFound => Error::Unreachable { host, reason: "there is no such socket".to_owned() },
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => Error::Unreachable {
            host,
            reason: "it closed the connection at once; is that a PostgreSQL server, or a proxy without one behind it?".to_owned(),
        },
        _ => Error::Unreachable { host, reason: printable(&io.to_string(), 200) },
    }
}

/// Whether another host may do better.
fn is_about_this_host_only(error: &Error) -> bool {
    matches!(
        error,
        Error::UnknownHost { .. }
            | Error::Refused { .. }
            | Error::Unreachable { .. }
            | Error::Timeout { .. }
            | Error::NotReady { .. }
            | Error::TooManyConnections { .. }
    )
}

async fn resolve(
    name: &str,
    port: u16,
    limit: Option<Duration>,
) -> Result<Vec<Option<IpAddr>>, Error> {
    let unknown = || Error::UnknownHost {
        host: name.to_owned(),
    };
    if let Ok(address) = name.parse() {
        return Ok(vec![Some(address)]);
    }
    let asking = tokio::net::lookup_host((name, port));
    let limit = limit.unwrap_or(Duration::from_secs(60));
    let answer = tokio::time::timeout(limit, asking)
        .await
        .map_err(|_| unknown())?;
    let found: Vec<_> = answer
        .map_err(|_| unknown())?
        .map(|address: SocketAddr| Some(address.ip()))
        .collect();
    if found.is_empty() {
        Err(unknown())
    } else {
        Ok(found)
    }
}

async fn is_of_kind(client: &Client, kind: SessionKind) -> Result<bool, Error> {
    if kind == SessionKind::Any {
        return Ok(true);
    }
    let query = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'";
    let row = client
        .query_one(query, &[])
        .await
        .map_err(|error| Error::of_statement("ask for the server's role", &error))?;
    let (in_recovery, read_only): (bool, bool) = (row.get(0), row.get(1));
    Ok(match kind {
        SessionKind::Any | SessionKind::PreferStandby => true,
        SessionKind::ReadWrite => !read_only,
        SessionKind::ReadOnly => read_only,
        SessionKind::Primary => !in_recovery,
        SessionKind::Standby => in_recovery,
    })
}

#[cfg(test)]
mod tests;
