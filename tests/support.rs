//! What several concerns share: databases, sandboxes, waiting for content with a deadline.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use cutover::demo::cluster::{Cluster, Options};

/// The binary under test.
pub fn cutover() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_cutover"))
}

/// An empty database of the test's own, on the one throwaway cluster of this test process.
pub struct TestDatabase {
    /// For the role that owns the database and is no superuser.
    pub url: String,
    /// For the superuser.
    pub superuser_url: String,
    /// The database's name.
    pub name: String,
}

/// The cluster that the tests of this process share. Its reaper ends it with the process.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(Options::new(cutover())).expect("a throwaway PostgreSQL"))
}

/// Makes an empty database.
pub async fn database() -> TestDatabase {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let cluster = cluster();
    cluster
        .create_database(&name)
        .await
        .expect("a fresh database");
    TestDatabase {
        url: cluster.url(&name),
        superuser_url: cluster.superuser_url(&name),
        name,
    }
}
