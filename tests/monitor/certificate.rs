//! Servers whose certificates cannot be believed: one that ran out years ago though somebody trusted vouches for it, and one that nobody
//! vouches for.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use cutover::runbook::{Instance, ProbeKind, PromQuery, PrometheusServer};
use cutover::session::live::InstanceState;
use cutover::trigger::Reading;
use rcgen::{Certificate, CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use super::{Watch, runbook, servers};
use crate::attempt;

/// A key, and what makes a certificate of it.
fn parameters(name: &str, years: [i32; 2]) -> (KeyPair, CertificateParams) {
    let mut parameters = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    parameters.not_before = rcgen::date_time_ymd(years[0], 1, 1);
    parameters.not_after = rcgen::date_time_ymd(years[1], 1, 1);
    (KeyPair::generate().expect("a key"), parameters)
}

/// Answers `ready` to whoever believes it, on a thread that ends with the process. Nobody vouches for its certificate.
fn server() -> String {
    let (key, parameters) = parameters("127.0.0.1", [2019, 2020]);
    let certificate = parameters.self_signed(&key).expect("a certificate");
    serve(&key, certificate)
}

fn serve(key: &KeyPair, certificate: Certificate) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .expect("a configuration");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            std::thread::spawn(move || answer(config, socket));
        }
    });
    format!("https://{address}")
}

fn answer(config: Arc<ServerConfig>, mut socket: TcpStream) -> std::io::Result<()> {
    let mut connection = ServerConnection::new(config).expect("a connection");
    let mut stream = Stream::new(&mut connection, &mut socket);
    let mut asked = [0; 4096];
    let _ = stream.read(&mut asked)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nready")
}

#[tokio::test]
async fn a_certificate_that_nobody_can_believe_is_a_failure_of_the_instance_and_no_data_of_a_server()
 {
    let servers = servers(2).await;
    let url = server();
    let prometheus = ProbeKind::Prometheus(PrometheusServer {
        url: url.clone(),
        headers: Vec::new(),
        headers_command: None,
        queries: vec![PromQuery {
            signal: "depth".to_owned(),
            query: "depth".to_owned(),
            requests: None,
        }],
        baseline_ms: None,
    });
    let kinds = vec![
        ProbeKind::Readiness,
        ProbeKind::Metrics { window_ms: 60_000 },
        prometheus,
    ];
    let mut runbook = runbook(kinds, &servers);
    runbook.fleet.instances[1] = Instance {
        url,
        ..runbook.fleet.instances[1].clone()
    };
    let mut watch = Watch::start(runbook);
    watch.until_value("ready.app-2", 0.0).await;
    watch.until_value("ready.app-1", 1.0).await;
    watch.until_value("unready_ratio", 0.5).await;
    let view = watch.monitor.fleet()[1].clone();
    assert_eq!(view.state, InstanceState::NotReady);
    assert!(view.detail.contains("certificate"), "{}", view.detail);
    let reading = watch.until_reason("depth", "certificate").await;
    assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
    let reading = watch.until_reason("pool_waiting", "not scraped").await;
    assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
}

/// One authority vouches for both; the engine's machine trusts it. Only the date tells them apart.
#[tokio::test]
async fn a_trusted_certificate_counts_until_it_runs_out() {
    let (root_key, mut root) = parameters("authority", [2019, 2099]);
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = root.self_signed(&root_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(root, root_key);
    let signed = |years| {
        let (key, parameters) = parameters("127.0.0.1", years);
        let certificate = parameters.signed_by(&key, &issuer);
        serve(&key, certificate.expect("a certificate"))
    };
    let (valid, expired) = (signed([2019, 2099]), signed([2019, 2020]));
    let folder = tempfile::tempdir().expect("a folder");
    let trusted = folder.path().join("trusted.pem");
    std::fs::write(&trusted, authority.pem()).expect("written");
    let mut check = attempt::command(folder.path(), &["check", "--json", attempt::RUNBOOK]);
    check.env("APP_1", &valid).env("APP_2", &expired);
    check
        .env("SSL_CERT_FILE", &trusted)
        .env_remove("SSL_CERT_DIR");
    let output = check.output().expect("check");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let said = |instance: &str| {
        let findings = report["environment"].as_array().expect("findings").iter();
        let of_it = findings.filter(|f| f["name"] == format!("instance {instance}"));
        let details = of_it.map(|f| f["detail"].as_str().expect("text").to_owned());
        details.collect::<Vec<_>>().join("; ")
    };
    assert!(said("app-1").starts_with("ready at https://"), "{report:#}");
    assert!(said("app-2").contains("certificate expired"), "{report:#}");
}
