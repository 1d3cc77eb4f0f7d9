//! HTTP requests of a runbook, and the client that everything here sends them with.

use std::sync::{Arc, OnceLock};

use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use rustls::{ClientConfig, RootCertStore};

use super::headers::{Headers, Pairs};
use super::output::Output;
use super::{Ended, Error, Stream};
use crate::text::printable;

/// What is read of an answer at most: whoever sends more says nothing more by it.
const READ_BYTES: usize = 1 << 20;

/// What a server answers that does not know who asks.
const UNAUTHORIZED: u16 = 401;

/// A request as the runbook has it, placeholders filled in.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) headers: &'a [(String, String)],
    /// More of them, which a command prints.
    pub(super) signed: Option<Headers>,
    pub(super) body: Option<String>,
    pub(super) expect_status: &'a [u16],
}

/// A client that follows no redirects (a status is what the runbook expects, or not), trusts what the machine trusts, and sets no
/// time-out: the caller's limit is around the whole request.
///
/// # Errors
/// The system's resolver or TLS cannot be set up.
pub fn client() -> Result<Client, reqwest::Error> {
    Client::builder()
        .tls_backend_preconfigured(tls())
        .redirect(Policy::none())
        .user_agent(concat!("cutover/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// rustls with the machine's trust store, which is read once.
fn tls() -> ClientConfig {
    static CONFIG: OnceLock<ClientConfig> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("BUG: ring lacks the default protocol versions")
            .with_root_certificates(roots)
            .with_no_client_auth()
    });
    config.clone()
}

/// Sends it and reads the answer, up to a limit, into `output`. A request that could not be delivered has failed; that is no [`Error`].
/// Where a server does not take the headers that a command printed (401), they are asked for again, once.
pub(super) async fn send(request: Request<'_>, output: &mut Output<'_>) -> Result<Ended, Error> {
    let Some(signed) = &request.signed else {
        return send_with(&request, &Pairs::new(), output).await;
    };
    let unsigned = |why: String, output: &mut Output<'_>| {
        output.remark(&format!("not sent: {why}"));
        Ok(Ended::default())
    };
    let pairs = match signed.current().await {
        Ok(pairs) => pairs,
        Err(why) => return unsigned(why, output),
    };
    let ended = send_with(&request, &pairs, output).await?;
    if ended.ok || ended.http_status != Some(UNAUTHORIZED) {
        return Ok(ended);
    }
    output.remark("its headers are asked for again");
    match signed.after_refusal(pairs).await {
        Ok(pairs) => send_with(&request, &pairs, output).await,
        Err(why) => unsigned(why, output),
    }
}

async fn send_with(
    request: &Request<'_>,
    pairs: &Pairs,
    output: &mut Output<'_>,
) -> Result<Ended, Error> {
    // A server may send back what it was sent.
    output.hide_what_is_new();
    let wrong = |reason: String| Error::Request {
        reason: printable(&reason, 300),
    };
    let method: Method = request
        .method
        .parse()
        .map_err(|_| wrong(format!("{:?} is no method", request.method)))?;
    let client = client().map_err(|error| wrong(error.to_string()))?;
    let mut builder = client.request(method, request.url);
    for (name, value) in request.headers.iter().chain(pairs) {
        builder = builder.header(name, value);
    }
    if let Some(body) = &request.body {
        builder = builder.body(body.clone());
    }
    // Building first: what is wrong in the runbook is told apart from what goes wrong on the way.
    let built = builder
        .build()
        .map_err(|error| wrong(error.without_url().to_string()))?;
    match client.execute(built).await {
        Ok(response) => Ok(receive(response, request.expect_status, output).await),
        Err(error) => {
            output.remark(&format!("no answer: {}", chain(&error.without_url())));
            Ok(Ended::default())
        }
    }
}

async fn receive(
    mut response: reqwest::Response,
    expected: &[u16],
    output: &mut Output<'_>,
) -> Ended {
    let status = response.status();
    output.remark(&format!("HTTP status {status}"));
    let good = if expected.is_empty() {
        status.is_success()
    } else {
        expected.contains(&status.as_u16())
    };
    let mut left = READ_BYTES;
    let complete = loop {
        // An answer that comes faster than it is read never makes anybody wait, and so nobody else would get a turn: not even the limit.
        tokio::task::yield_now().await;
        match response.chunk().await {
            Ok(Some(bytes)) if bytes.len() > left => {
                output.take(Stream::Stdout, &bytes[..left]);
                output.remark(&format!(
                    "the answer is longer than {READ_BYTES} bytes; the rest was not read"
                ));
                break true;
            }
            Ok(Some(bytes)) => {
                left -= bytes.len();
                output.take(Stream::Stdout, &bytes);
            }
            Ok(None) => break true,
            Err(error) => {
                output.remark(&format!(
                    "the answer broke off: {}",
                    chain(&error.without_url())
                ));
                break false;
            }
        }
    };
    Ended {
        ok: good && complete,
        http_status: Some(status.as_u16()),
        ..Ended::default()
    }
}

/// An error with its causes, which is where the useful words are.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}
