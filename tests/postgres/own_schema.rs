//! The schema `cutover` in the target, made by several connections at once.

use cutover::postgres::{Endpoint, own_schema};
use futures_util::future::join_all;

use crate::support::database;

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_make_the_schema_at_once_and_none_fails() {
    for _ in 0..5 {
        let database = database().await;
        let connecting = (0..8).map(|_| async {
            let endpoint = Endpoint::parse(&database.url).expect("a URL");
            endpoint.connect().await.expect("a connection")
        });
        let clients = join_all(connecting).await;
        let made = clients.iter().map(|client| {
            let sql = format!(
                "{} CREATE TABLE IF NOT EXISTS cutover.one (a int)",
                own_schema::MAKE
            );
            async move { client.batch_execute(&sql).await }
        });
        for made in join_all(made).await {
            made.expect("the schema is there");
        }
    }
}
