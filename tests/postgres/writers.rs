//! Who may write to tables: read, taken away and given back as it was; and the lock that waits for those who still write.

use std::collections::BTreeSet;
use std::time::Duration;

use cutover::postgres::Endpoint;
use cutover::postgres::writers::{self, TableName};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{connect, endpoint};
use crate::support::{self, TestDatabase};

const PASSWORD: &str = "of-a-test";

/// A database with tables of every kind, and roles of its own.
struct Place {
    made: TestDatabase,
    owner: Client,
    admin: Client,
}

impl Place {
    async fn new() -> Place {
        let made = support::database().await;
        let owner = connect(&made.url).await;
        let admin = connect(&made.superuser_url).await;
        let place = Place { made, owner, admin };
        for role in ["app", "lead", "helper", "reader"] {
            let role = place.role(role);
            let make = format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'");
            place.admin.batch_execute(&make).await.unwrap();
        }
        let tables = "CREATE SCHEMA s; GRANT USAGE ON SCHEMA s TO PUBLIC;
            CREATE TABLE s.t (id int, v text, w text); INSERT INTO s.t VALUES (1, 'a', 'b');
            CREATE TABLE s.alone (id int);
            CREATE TABLE s.parts (id int, v text) PARTITION BY RANGE (id);
            CREATE TABLE s.part PARTITION OF s.parts FOR VALUES FROM (0) TO (10);
            CREATE TABLE s.parent (id int); CREATE TABLE s.child (more int) INHERITS (s.parent)";
        place.owner.batch_execute(tables).await.unwrap();
        let [app, lead, helper, reader] =
            ["app", "lead", "helper", "reader"].map(|r| place.role(r));
        let by_owner = format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON s.t, s.parts, s.parent TO {app}; GRANT TRUNCATE ON s.t TO {app};
             GRANT SELECT ON s.t TO {reader}; GRANT DELETE ON s.parent TO PUBLIC;
             GRANT SELECT, UPDATE ON s.t TO {lead} WITH GRANT OPTION; GRANT UPDATE (w) ON s.t TO {lead} WITH GRANT OPTION;
             GRANT INSERT (id) ON s.part TO {helper}; GRANT INSERT (more), SELECT (more) ON s.child TO {helper}"
        );
        place.owner.batch_execute(&by_owner).await.unwrap();
        let by_lead = format!(
            "GRANT UPDATE ON s.t TO {reader}; GRANT UPDATE (v) ON s.t TO {helper}; GRANT UPDATE (w) ON s.t TO {helper}"
        );
        let as_lead = place.connect_as("lead").await;
        as_lead.batch_execute(&by_lead).await.unwrap();
        place
    }

    fn role(&self, name: &str) -> String {
        format!("{}_{name}", self.made.name)
    }

    async fn connect_as(&self, name: &str) -> Client {
        let role = self.role(name);
        let url = support::cluster().url_for(&role, Some(PASSWORD), &self.made.name);
        let endpoint: Endpoint = endpoint(&url).with_application_name("web");
        endpoint.connect().await.unwrap()
    }

    /// The tables that are named, as a runbook would move them.
    fn tables() -> Vec<TableName> {
        let names = ["t", "alone", "parts", "parent", "gone"];
        names.map(|name| ("s".to_owned(), name.to_owned())).into()
    }

    /// Every access list as the server writes it, an entry each; which tables have none at all is an entry too.
    async fn access(&self) -> BTreeSet<String> {
        let sql = "
            SELECT c.relname || ' ' || coalesce(x::text, 'default') FROM pg_class c LEFT JOIN LATERAL unnest(c.relacl) x ON true
             WHERE c.relnamespace = 's'::regnamespace AND c.relkind IN ('r', 'p')
            UNION ALL
            SELECT c.relname || '.' || a.attname || ' ' || x::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
              CROSS JOIN LATERAL unnest(a.attacl) x WHERE c.relnamespace = 's'::regnamespace";
        let rows = self.admin.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

async fn is_denied(client: &Client, sql: &str) {
    let error = client.batch_execute(sql).await.expect_err(sql);
    let code = error.code().expect("the server's word");
    assert_eq!(*code, SqlState::INSUFFICIENT_PRIVILEGE, "{sql}: {error}");
}

#[tokio::test]
async fn rights_are_taken_from_everybody_and_come_back_as_they_were() {
    let place = Place::new().await;
    let before = place.access().await;
    says!(format!("{before:?}"), "alone default");
    let former = writers::former(&place.owner, &Place::tables())
        .await
        .unwrap();
    let names: BTreeSet<&str> = former.iter().map(|table| table.table.as_str()).collect();
    assert_eq!(
        names,
        ["alone", "child", "parent", "part", "parts", "t"].into()
    );

    let revoked = writers::revoke(&place.owner, &former).await.unwrap();
    assert_eq!((revoked.tables, revoked.still), (5, vec![]));
    let now = writers::former(&place.owner, &Place::tables())
        .await
        .unwrap();
    let written = now
        .iter()
        .filter(|table| !table.writes_of_others().is_empty());
    assert_eq!(written.count(), 0, "{now:#?}");
    let app = place.connect_as("app").await;
    app.batch_execute("SELECT * FROM s.t").await.unwrap();
    let writes = [
        "INSERT INTO s.t VALUES (2)",
        "UPDATE s.t SET v = ''",
        "DELETE FROM s.t",
        "TRUNCATE s.t",
        "INSERT INTO s.parts VALUES (1)",
        "DELETE FROM s.parent",
    ];
    for write in writes {
        is_denied(&app, write).await;
    }
    let helper = place.connect_as("helper").await;
    is_denied(&helper, "UPDATE s.t SET v = ''").await;
    is_denied(&helper, "INSERT INTO s.part (id) VALUES (1)").await;
    let lead = place.connect_as("lead").await;
    is_denied(&lead, "UPDATE s.t SET w = ''").await;
    // The owner is kept out by a lock alone.
    place
        .owner
        .batch_execute("INSERT INTO s.alone VALUES (1)")
        .await
        .unwrap();

    // What was read first is given back, whatever is there by now, and twice is as good as once.
    for _ in 0..2 {
        let given = writers::give_back(&place.admin, &former).await.unwrap();
        assert_eq!((given.as_before, given.differs), (6, vec![]));
        assert_eq!(place.access().await, before);
    }
    app.batch_execute("INSERT INTO s.parts VALUES (1)")
        .await
        .unwrap();
    helper
        .batch_execute("UPDATE s.t SET v = 'c'")
        .await
        .unwrap();
}

/// An owner who may not be the role that had granted something grants it in that role's place, and says so.
#[tokio::test]
async fn what_cannot_come_back_as_it_was_is_named() {
    let place = Place::new().await;
    let former = writers::former(&place.owner, &Place::tables())
        .await
        .unwrap();
    writers::revoke(&place.owner, &former).await.unwrap();
    let given = writers::give_back(&place.owner, &former).await.unwrap();
    assert_eq!(given.as_before, 5, "{given:?}");
    let [differs] = given.differs.as_slice() else {
        panic!("{given:?}")
    };
    says!(differs, "s.t: UPDATE");
    says!(differs, &format!("by {} is not back", place.role("lead")));
    let helper = place.connect_as("helper").await;
    helper
        .batch_execute("UPDATE s.t SET v = 'c', w = 'd'")
        .await
        .unwrap();

    let (reader, app) = (place.role("reader"), place.role("app"));
    let now = writers::former(&place.owner, &Place::tables())
        .await
        .unwrap();
    writers::revoke(&place.owner, &now).await.unwrap();
    let change = format!(
        "ALTER TABLE s.parts RENAME COLUMN id TO number; ALTER TABLE s.parts RENAME TO pieces; DROP TABLE s.child;
         GRANT DELETE ON s.alone TO {reader}"
    );
    place.owner.batch_execute(&change).await.unwrap();
    let given = writers::give_back(&place.admin, &former).await.unwrap();
    let differs = given.differs.join("\n");
    says!(differs, "s.child: the table is gone");
    says!(differs, &format!("s.alone: DELETE, which {reader} has by"));
    says!(differs, "was not there before");
    assert_eq!(given.differs.len(), 2, "{differs}");
    let may = format!("SELECT has_table_privilege('{app}', 's.pieces', 'INSERT')");
    let may: bool = place.admin.query_one(&may, &[]).await.unwrap().get(0);
    assert!(may, "a table is known whatever it is called");
}

/// The attempts at the lock that are under way or over, by the server's word.
async fn is_asked_for(place: &Place) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND (query LIKE 'SAVEPOINT tried%' OR query LIKE 'ROLLBACK TO tried%')";
    support::until("the lock is asked for", async || {
        let asked = place.admin.query_one(sql, &[]).await.unwrap();
        asked.get::<_, i64>(0) > 0
    })
    .await;
}

#[tokio::test]
async fn the_lock_waits_for_who_writes_and_keeps_everybody_out() {
    let place = Place::new().await;
    let app = place.connect_as("app").await;
    app.batch_execute("BEGIN; INSERT INTO s.parts VALUES (1, 'late')")
        .await
        .unwrap();
    let holder = connect(&place.made.url).await;
    let all = Place::tables();
    let tables = &all[..4];
    let drain = Duration::from_secs(180);
    let locking = writers::lock(holder, &place.owner, tables, drain);
    let ends = async {
        is_asked_for(&place).await;
        // It goes on with another table, and commits.
        app.batch_execute("INSERT INTO s.t VALUES (2); COMMIT")
            .await
            .unwrap();
    };
    let (locked, ()) = tokio::join!(locking, ends);
    let (lock, drained) = locked.unwrap();
    assert_eq!(drained, writers::Drained::default());
    let lock = lock.expect("the lock");
    assert!(lock.is_held());
    let rows = lock
        .client()
        .query_one("SELECT count(*) FROM s.parts", &[])
        .await
        .unwrap();
    assert_eq!(rows.get::<_, i64>(0), 1, "the last of it is seen");
    let late = "SET lock_timeout = '10ms'";
    for client in [&app, &place.owner, &place.admin] {
        client.batch_execute(late).await.unwrap();
        client.batch_execute("SELECT * FROM s.t").await.unwrap();
        let refused = client.batch_execute("INSERT INTO s.parts VALUES (2)").await;
        let code = refused.expect_err("locked").code().cloned();
        assert_eq!(code, Some(SqlState::LOCK_NOT_AVAILABLE));
    }
    drop(lock);
    support::until("the lock is let go", async || {
        app.batch_execute("INSERT INTO s.parts VALUES (2)")
            .await
            .is_ok()
    })
    .await;
}

#[tokio::test]
async fn who_stays_beyond_the_drain_is_ended_or_named() {
    let place = Place::new().await;
    let all = Place::tables();
    let (tables, none) = (&all[..4], Duration::ZERO);
    let lock = async || {
        let holder = connect(&place.made.url).await;
        writers::lock(holder, &place.owner, tables, none)
            .await
            .unwrap()
    };
    let app = place.connect_as("app").await;
    let write = "BEGIN; INSERT INTO s.t VALUES (2)";
    app.batch_execute(write).await.unwrap();
    let (held, drained) = lock().await;
    assert!(held.is_none() && drained.terminated.is_empty());
    let [still] = drained.still.as_slice() else {
        panic!("{drained:?}")
    };
    says!(still, &format!("{} as web", place.role("app")));
    says!(still, "42501");
    app.batch_execute("ROLLBACK").await.unwrap();

    let me: String = place
        .owner
        .query_one("SELECT current_user::text", &[])
        .await
        .unwrap()
        .get(0);
    let grant = format!("GRANT {} TO {me}", place.role("app"));
    place.admin.batch_execute(&grant).await.unwrap();
    app.batch_execute(write).await.unwrap();
    let (held, drained) = lock().await;
    assert!(held.is_some_and(|lock| lock.is_held()));
    assert_eq!(drained.still, Vec::<String>::new());
    says!(
        drained.terminated.join("; "),
        &format!("{} as web, idle in transaction", place.role("app"))
    );
    app.batch_execute("COMMIT").await.expect_err("it was ended");
    let rows = place
        .admin
        .query_one("SELECT count(*) FROM s.t", &[])
        .await
        .unwrap();
    assert_eq!(rows.get::<_, i64>(0), 1);

    // A session of cutover's own is not ended.
    let ours = connect(&place.made.url).await;
    ours.batch_execute(write).await.unwrap();
    let (held, drained) = lock().await;
    assert!(held.is_none() && drained.terminated.is_empty());
    says!(drained.still.join("; "), "calls itself cutover");
    ours.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test]
async fn whether_it_can_be_done_is_known_beforehand() {
    let place = Place::new().await;
    let app = place.role("app");
    let ask = async |client: &Client, role: &str| {
        writers::may_fence(client, &Place::tables(), role)
            .await
            .unwrap()
    };
    let told = ask(&place.owner, &app).await;
    assert_eq!(told.len(), 1, "{told:?}");
    says!(told[0], "GRANT pg_signal_backend TO");
    let me: String = place
        .owner
        .query_one("SELECT current_user::text", &[])
        .await
        .unwrap()
        .get(0);
    let grant = format!("GRANT {app} TO {me}");
    place.admin.batch_execute(&grant).await.unwrap();
    assert_eq!(ask(&place.owner, &app).await, Vec::<String>::new());
    let view = format!("CREATE VIEW s.seen AS SELECT id FROM s.t; GRANT INSERT ON s.seen TO {app}");
    place.owner.batch_execute(&view).await.unwrap();
    let told = ask(&place.owner, &app).await;
    assert_eq!(told.len(), 1, "{told:?}");
    says!(told[0], "through s.seen by the rights of the view's owner");

    let told = ask(&place.owner, &me).await;
    assert_eq!(told.len(), 1, "{told:?}");
    says!(
        told[0],
        "rights of the owner of s.alone, s.child, s.parent, s.part and 2 more"
    );
    let admin = "SELECT current_user::text";
    let admin: String = place.admin.query_one(admin, &[]).await.unwrap().get(0);
    let told = ask(&place.owner, &admin).await.join("\n");
    says!(told, "is a superuser");
    says!(told, "only a superuser may");
    let reader = place.connect_as("reader").await;
    let told = ask(&reader, &app).await.join("\n");
    says!(told, "can revoke nothing there");
    let told = ask(&place.owner, "nobody of that name").await.join("\n");
    says!(told, "has no role");
    assert_eq!(
        writers::may_fence(&place.owner, &[], &app).await.unwrap(),
        Vec::<String>::new()
    );
}
