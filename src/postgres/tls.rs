//! TLS as libpq's `sslmode` means it, on rustls.
//!
//! tokio-postgres only knows "TLS or not". What a certificate has to prove is decided by the verifier in here, one per mode.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Error;
use super::endpoint::{Roots, SslMode, TlsOptions};
use super::silence::{Pulse, Watched};
use super::socket::Socket;

/// A connector for `mode`.
///
/// # Errors
/// A certificate or key file that cannot be used.
pub(super) fn connector(options: &TlsOptions, mode: SslMode) -> Result<Connector, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(options, mode, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("BUG: ring lacks the default protocol versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &options.client_certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let secret = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unusable(key, &error.to_string()))?;
            builder
                .with_client_auth_cert(chain, secret)
                .map_err(|error| unusable(certificate, &error.to_string()))?
        }
    };
    config.enable_sni = options.sni;
    if options.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(Connector {
        inner: MakeRustlsConnect::new(config),
    })
}

/// Checks a server's certificate as far as the mode asks.
#[derive(Debug)]
struct Verifier {
    mode: SslMode,
    roots: RootCertStore,
    /// The certificates of `sslrootcert` as they are: a server's own self-signed one may be among them.
    trusted: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(options: &TlsOptions, mode: SslMode, provider: &CryptoProvider) -> Result<Self, Error> {
        let algorithms = provider.signature_verification_algorithms;
        let mut roots = RootCertStore::empty();
        let trusted = match &options.roots {
            _ if mode < SslMode::VerifyCa => Vec::new(),
            Roots::File(file) => certificates(file)?,
            Roots::System => rustls_native_certs::load_native_certs().certs,
        };
        let (usable, _) = roots.add_parsable_certificates(trusted.iter().cloned());
        if let (Roots::File(file), 0, true) = (&options.roots, usable, mode >= SslMode::VerifyCa) {
            return Err(unusable(file, "holds no certificate that can be used"));
        }
        let trusted = if options.roots == Roots::System {
            Vec::new()
        } else {
            trusted
        };
        Ok(Self {
            mode,
            roots,
            trusted,
            algorithms,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.mode < SslMode::VerifyCa {
            return Ok(ServerCertVerified::assertion());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        // A self-signed certificate that is itself the trusted one has no chain to verify.
        if !self.trusted.iter().any(|trusted| trusted == end_entity) {
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
        if self.mode == SslMode::VerifyFull {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| unusable(path, &error.to_string()))?;
    if found.is_empty() {
        return Err(unusable(path, "holds no certificate in PEM form"));
    }
    Ok(found)
}

fn unusable(path: &Path, problem: &str) -> Error {
    Error::CertificateFile {
        path: path.to_path_buf(),
        problem: problem.to_owned(),
    }
}

/// What a failed handshake means to the person who has to fix it.
pub(super) fn explain(error: &rustls::Error) -> String {
    let advice = match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer => {
                "its certificate's issuer is not trusted; give the issuer as sslrootcert=FILE"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is not for this host name; connect by a name that it lists (as subjectAltName), or have it reissued"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired; renew it"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet; check the clocks of both machines"
            }
            _ => "its certificate is not acceptable",
        },
        rustls::Error::AlertReceived(_) => {
            "the server broke off; it may want a client certificate (sslcert, sslkey)"
        }
        _ => "the handshake failed",
    };
    crate::text::printable(&format!("{advice} ({error})"), 400)
}

/// What goes over a socket to PostgreSQL, encrypted or not.
pub(super) type Wire = Watched<Socket>;

type Rustls = <MakeRustlsConnect as MakeTlsConnect<Wire>>::TlsConnect;

/// rustls under tokio-postgres.
#[derive(Clone)]
pub(super) struct Connector {
    inner: MakeRustlsConnect,
}

impl Connector {
    /// One handshake with the host of this name.
    pub(super) fn handshake(&self, host: &str, pulse: &Arc<Pulse>) -> Handshake {
        let Ok(inner) = MakeTlsConnect::<Wire>::make_tls_connect(&mut self.inner.clone(), host);
        Handshake {
            inner,
            pulse: Arc::clone(pulse),
        }
    }
}

/// One handshake of a [`Connector`]. Notes when it is begun: if it is not, the server offered no TLS.
pub(super) struct Handshake {
    inner: Rustls,
    pulse: Arc<Pulse>,
}

impl TlsConnect<Wire> for Handshake {
    type Stream = Watched<<Rustls as TlsConnect<Wire>>::Stream>;
    type Error = <Rustls as TlsConnect<Wire>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, Self::Error>> + Send>>;

    fn connect(self, stream: Wire) -> Self::Future {
        self.pulse.handshake_begins();
        let (handshake, pulse) = (self.inner.connect(stream), self.pulse);
        Box::pin(async move { Ok(Watched::within_tls(handshake.await?, pulse)) })
    }
}
