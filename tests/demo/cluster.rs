//! The throwaway PostgreSQL.

use crate::support;

async fn one(url: &str, sql: &str) -> String {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    client.query_one(sql, &[]).await.expect("one row").get(0)
}

#[tokio::test]
async fn gives_each_test_a_database_that_its_owner_owns() {
    let first = support::database().await;
    let second = support::database().await;
    assert_ne!(first.name, second.name);
    let facts = "SELECT current_database()::text || ' ' || (d.datdba = r.oid) || ' ' || r.rolsuper
                 FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = current_user";
    assert_eq!(
        one(&first.url, facts).await,
        format!("{} true false", first.name)
    );
    assert_eq!(
        one(&first.superuser_url, facts).await,
        format!("{} false true", first.name)
    );
}

#[tokio::test]
async fn refuses_a_client_without_the_password() {
    let cluster = support::cluster();
    let url = cluster.url_for("postgres", None, "postgres");
    assert!(
        tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .is_err()
    );
}
