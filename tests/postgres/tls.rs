//! What `sslmode` promises, against a server with a certificate of a throwaway authority.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use cutover::demo::cluster::{Cluster, Options};
use cutover::postgres::{Error, preflight};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::{connect, endpoint, refusal};
use crate::support;

/// A file that PostgreSQL will read: owned by whoever owns its data.
fn place(data: &Path, name: &str, content: &str) {
    let path = data.join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let owner = data.metadata().unwrap();
    chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[tokio::test]
async fn each_mode_gives_what_it_promises() {
    let cluster = Cluster::start(Options::new(support::cutover())).unwrap();
    let trusted = authority();
    let key = KeyPair::generate().unwrap();
    // For `localhost` and not for 127.0.0.1.
    let server = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &trusted)
        .unwrap();
    place(&cluster.data_dir(), "server.crt", &server.pem());
    place(&cluster.data_dir(), "server.key", &key.serialize_pem());
    let admin = connect(&cluster.superuser_url("postgres")).await;
    admin
        .batch_execute("ALTER SYSTEM SET ssl = on")
        .await
        .unwrap();
    admin
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .unwrap();

    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let ours = write("ours.pem", &trusted.pem());
    let other = write("other.pem", &authority().pem());
    let leaf = write("leaf.pem", &server.pem());
    let url = |host: &str, parameters: &str| {
        let url = cluster
            .superuser_url("postgres")
            .replace("127.0.0.1", host)
            .replace("localhost", host);
        format!("{url}?{parameters}")
    };
    let encrypted = async |url: String| {
        let client = connect(&url).await;
        let row = client
            .query_one(
                "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                &[],
            )
            .await
            .unwrap();
        row.get::<_, bool>(0)
    };

    // The server has reloaded once it offers TLS.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while endpoint(&url("localhost", "sslmode=require"))
        .connect()
        .await
        .is_err()
    {
        assert!(
            std::time::Instant::now() < deadline,
            "the server does not offer TLS"
        );
    }
    for (host, parameters, expected) in [
        ("localhost", "sslmode=disable".to_owned(), false),
        ("localhost", "sslmode=allow".to_owned(), false),
        ("localhost", "sslmode=prefer".to_owned(), true),
        ("127.0.0.1", "sslmode=require".to_owned(), true),
        (
            "127.0.0.1",
            format!("sslmode=verify-ca&sslrootcert={ours}"),
            true,
        ),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={ours}"),
            true,
        ),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={leaf}"),
            true,
        ),
    ] {
        assert_eq!(
            encrypted(url(host, &parameters)).await,
            expected,
            "{host} {parameters}"
        );
    }
    for (host, parameters) in [
        ("localhost", "sslmode=verify-full".to_owned()),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={other}"),
        ),
        (
            "localhost",
            format!("sslmode=verify-ca&sslrootcert={other}"),
        ),
        ("localhost", format!("sslmode=require&sslrootcert={other}")),
        (
            "127.0.0.1",
            format!("sslmode=verify-full&sslrootcert={ours}"),
        ),
        (
            "127.0.0.1",
            format!("sslmode=verify-full&sslrootcert={leaf}"),
        ),
    ] {
        let error = refusal(&url(host, &parameters)).await;
        assert!(
            matches!(error, Error::Tls { .. }),
            "{host} {parameters}: {error:?}"
        );
    }
    let missing = refusal(&url(
        "localhost",
        "sslmode=verify-full&sslrootcert=/no/such.pem",
    ))
    .await;
    assert!(
        matches!(missing, Error::CertificateFile { .. }),
        "{missing:?}"
    );

    // Cancelling and the preflight over TLS.
    let target = endpoint(&url(
        "localhost",
        &format!("sslmode=verify-full&sslrootcert={ours}"),
    ));
    let client = target.connect().await.unwrap();
    target.cancel(&client.cancel_token()).await.unwrap();
    // A session of its own: the request may arrive late and hit whatever runs then.
    let client = target.connect().await.unwrap();
    let findings = preflight::database(&client, &target, "public")
        .await
        .unwrap();
    let tls = findings
        .iter()
        .find(|finding| finding.name == "TLS")
        .unwrap();
    assert!(
        tls.ok && tls.detail.contains("issuer and host verified"),
        "{tls:?}"
    );
}
