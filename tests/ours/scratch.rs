//! The scratch database of rehearsals, on a real PostgreSQL: taken when it is empty or ours, refused with what is in it otherwise, and never
//! taken when nobody can see that it is not production.

use cutover::feed::capture::{self, Captured};
use cutover::ours::scratch::{Claim, Error, Sides, claim, claim_again};
use cutover::postgres::Endpoint;

use crate::support::{self, TestDatabase, client as connect};

fn sides(scratch: &TestDatabase, target: &str) -> Sides {
    let endpoint = |url: &str| Endpoint::parse(url).unwrap();
    Sides {
        scratch: endpoint(&scratch.url),
        scratch_runtime: endpoint(&scratch.url),
        target: endpoint(target),
    }
}

async fn run(url: &str, sql: &str) {
    connect(url).await.batch_execute(sql).await.expect(sql);
}

/// Lets go of a claim. The server may need a moment to see that its connection is gone.
async fn let_go(claim: Claim, scratch: &TestDatabase) {
    drop(claim);
    let client = connect(&scratch.superuser_url).await;
    let held = "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                WHERE l.locktype = 'advisory' AND d.datname = current_database())";
    support::until("the claim's lock is gone", async || {
        let row = client.query_one(held, &[]).await.unwrap();
        !row.get::<_, bool>(0)
    })
    .await;
}

async fn rows(url: &str, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    connect(url)
        .await
        .query_one(&sql, &[])
        .await
        .expect(table)
        .get(0)
}

async fn is_there(url: &str, relation: &str) -> bool {
    let sql = "SELECT to_regclass($1) IS NOT NULL";
    connect(url)
        .await
        .query_one(sql, &[&relation])
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn it_is_taken_when_empty_and_emptied_of_what_a_rehearsal_made() {
    let (scratch, target) = (support::database().await, support::database().await);
    let sides = sides(&scratch, &target.url);
    let mut first = claim(&sides, "app-rehearsal-1", None).await.unwrap();
    // Everything that migrations make, hanging on one another.
    run(
        &scratch.url,
        "CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('a', 'b'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
         CREATE TABLE a (id int PRIMARY KEY, mood app.mood, n positive); CREATE TABLE b (id serial PRIMARY KEY, a int REFERENCES a);
         ALTER TABLE a ADD b int REFERENCES b; CREATE TABLE p (id int) PARTITION BY RANGE (id);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9); CREATE TABLE c () INHERITS (a); CREATE SEQUENCE free;
         CREATE VIEW v AS SELECT * FROM a; CREATE MATERIALIZED VIEW m AS SELECT * FROM v; CREATE VIEW w AS SELECT * FROM m;
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION touch();
         CREATE FUNCTION of_row(a) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE PROCEDURE p0() LANGUAGE sql AS 'SELECT 1';
         CREATE TYPE pair AS (x int, y int); CREATE TYPE span AS RANGE (subtype = int); CREATE TABLE app.\"Odd \"\"name\" (x pair, s span)",
    )
    .await;
    first.record().await.unwrap();
    let_go(first, &scratch).await;
    run(&scratch.url, "INSERT INTO a (id) VALUES (1)").await;
    let second = claim(&sides, "app-rehearsal-2", None).await.unwrap();
    for name in [
        "a",
        "b",
        "c",
        "p",
        "p1",
        "v",
        "m",
        "free",
        "app.\"Odd \"\"name\"",
    ] {
        assert!(!is_there(&scratch.url, name).await, "{name}");
    }
    let_go(second, &scratch).await;
    claim(&sides, "app-rehearsal-3", None).await.unwrap();
}

#[tokio::test]
async fn whatever_else_is_in_it_stays_and_is_named() {
    let target = support::database().await;
    for (sql, said) in [
        (
            "CREATE TABLE wages (id int); INSERT INTO wages VALUES (1)",
            "table public.wages",
        ),
        (
            "CREATE SCHEMA hr; CREATE TABLE hr.wages (id int)",
            "table hr.wages",
        ),
        ("CREATE VIEW wages AS SELECT 1 AS id", "view public.wages"),
        ("CREATE SEQUENCE invoice", "sequence public.invoice"),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "function public.f()",
        ),
        ("CREATE TYPE mood AS ENUM ('a')", "type public.mood"),
        ("CREATE COLLATION c (locale = 'C')", "collation public.c"),
        ("SELECT lo_create(0)", "large object"),
        (
            "CREATE SCHEMA cutover; CREATE TABLE cutover.quarantine (id int)",
            "table cutover.quarantine",
        ),
    ] {
        let scratch = support::database().await;
        run(&scratch.url, sql).await;
        let sides = sides(&scratch, &target.url);
        let refused = claim(&sides, "app-rehearsal-1", None).await.expect_err(sql);
        assert!(matches!(refused, Error::NotOurs { .. }), "{sql}: {refused}");
        let words = refused.to_string();
        assert!(words.contains(said), "{sql}: {words}");
        says!(words, &format!("--claim-scratch {}", scratch.name));
        // Beside what a rehearsal made it stays too.
        let scratch = support::database().await;
        let sides = self::sides(&scratch, &target.url);
        let mut mine = claim(&sides, "app-rehearsal-1", None).await.unwrap();
        run(&scratch.url, "CREATE TABLE made (id int)").await;
        mine.record().await.unwrap();
        let_go(mine, &scratch).await;
        if sql.contains("SCHEMA cutover") {
            continue;
        }
        run(&scratch.url, sql).await;
        let refused = claim(&sides, "app-rehearsal-2", None).await.expect_err(sql);
        assert!(refused.to_string().contains(said), "{sql}: {refused}");
        assert!(!refused.to_string().contains("public.made"), "{refused}");
        assert!(is_there(&scratch.url, "made").await);
    }
}

#[tokio::test]
async fn what_somebody_hung_on_a_table_of_ours_is_not_taken_along() {
    let (scratch, target) = (support::database().await, support::database().await);
    let sides = sides(&scratch, &target.url);
    let mut mine = claim(&sides, "app-rehearsal-1", None).await.unwrap();
    run(&scratch.url, "CREATE TABLE made (id int PRIMARY KEY)").await;
    mine.record().await.unwrap();
    let_go(mine, &scratch).await;
    run(&scratch.url, "CREATE TABLE theirs (id int REFERENCES made); INSERT INTO made VALUES (1); INSERT INTO theirs VALUES (1)").await;
    claim(&sides, "app-rehearsal-2", None).await.unwrap_err();
    assert_eq!(rows(&scratch.url, "theirs").await, 1);
    assert_eq!(rows(&scratch.url, "made").await, 1);
}

#[tokio::test]
async fn a_record_that_was_copied_with_the_database_does_not_count() {
    let (scratch, target) = (support::database().await, support::database().await);
    let mut mine = claim(&sides(&scratch, &target.url), "app-rehearsal-1", None)
        .await
        .unwrap();
    run(
        &scratch.url,
        "CREATE TABLE made (id int); INSERT INTO made VALUES (1)",
    )
    .await;
    mine.record().await.unwrap();
    drop(mine);
    let copied = TestDatabase {
        url: scratch
            .url
            .replace(&scratch.name, &format!("{}_copied", scratch.name)),
        superuser_url: scratch
            .superuser_url
            .replace(&scratch.name, &format!("{}_copied", scratch.name)),
        name: format!("{}_copied", scratch.name),
    };
    let make = format!("CREATE DATABASE {} TEMPLATE {}", copied.name, scratch.name);
    let admin = connect(&support::cluster().superuser_url("postgres")).await;
    // The connection that was dropped may need a moment to go.
    support::until("the database is free to be copied", async || {
        admin.batch_execute(&make).await.is_ok()
    })
    .await;
    let give = format!("GRANT ALL ON DATABASE {} TO PUBLIC", copied.name);
    admin.batch_execute(&give).await.unwrap();
    let refused = claim(&sides(&copied, &target.url), "app-rehearsal-2", None)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("public.made"), "{refused}");
    assert_eq!(rows(&copied.url, "made").await, 1);
}

#[tokio::test]
async fn what_cannot_be_told_from_the_target_is_refused() {
    let (scratch, target) = (support::database().await, support::database().await);
    run(
        &target.url,
        "CREATE TABLE wages (id int); INSERT INTO wages VALUES (1)",
    )
    .await;
    let is_target = claim(&sides(&target, &target.url), "s-1", None)
        .await
        .unwrap_err();
    assert!(matches!(is_target, Error::IsTarget { .. }), "{is_target}");
    // Another name, another role, and the typed name of the database change nothing about that.
    let other = TestDatabase {
        url: target.superuser_url.clone(),
        superuser_url: target.superuser_url.clone(),
        name: target.name.clone(),
    };
    let is_target = claim(&sides(&other, &target.url), "s-1", Some(&target.name))
        .await
        .unwrap_err();
    assert!(matches!(is_target, Error::IsTarget { .. }), "{is_target}");
    let nobody = target.url.replacen("//", "//nobody:wrong@", 1);
    let nobody = match nobody.rsplit_once('@') {
        Some((_, rest)) => format!("postgres://nobody:wrong@{rest}"),
        None => nobody,
    };
    for blind in [nobody.as_str(), "postgres://a@127.0.0.1:1/b"] {
        for place in [&scratch, &target] {
            let refused = claim(&sides(place, blind), "s-1", None).await.unwrap_err();
            let is_unknown = matches!(
                refused,
                Error::Unknown {
                    which: "target.url",
                    ..
                }
            );
            assert!(is_unknown, "{refused}");
        }
    }
    // Its runtime role is led to the target.
    let mut led = sides(&scratch, &target.url);
    led.scratch_runtime = Endpoint::parse(&target.url).unwrap();
    let refused = claim(&led, "s-1", None).await.unwrap_err();
    assert!(matches!(refused, Error::AnotherRuntime { .. }), "{refused}");
    assert_eq!(rows(&target.url, "wages").await, 1);
    // A target that its server does not have yet is no other database.
    let later = target.url.replace(&target.name, "not_made_yet");
    claim(&sides(&scratch, &later), "s-1", None).await.unwrap();
}

#[tokio::test]
async fn a_person_claims_it_by_its_name() {
    let (scratch, target) = (support::database().await, support::database().await);
    run(
        &scratch.url,
        "CREATE SCHEMA hr; CREATE TABLE hr.wages (id int); CREATE TABLE wages (id int)",
    )
    .await;
    let sides = sides(&scratch, &target.url);
    let refused = claim(&sides, "s-1", Some(&target.name)).await.unwrap_err();
    assert!(matches!(refused, Error::AnotherName { .. }), "{refused}");
    assert!(is_there(&scratch.url, "wages").await);
    let first = claim(&sides, "s-1", Some(&scratch.name)).await.unwrap();
    let_go(first, &scratch).await;
    assert!(!is_there(&scratch.url, "wages").await && !is_there(&scratch.url, "hr.wages").await);
    claim(&sides, "s-2", None).await.unwrap();
}

#[tokio::test]
async fn only_one_rehearsal_works_in_it_and_what_point_made_is_its_own() {
    let (scratch, target) = (support::database().await, support::database().await);
    let sides = sides(&scratch, &target.url);
    let first = claim(&sides, "app-rehearsal-1", None).await.unwrap();
    let refused = claim(&sides, "app-rehearsal-2", None).await.unwrap_err();
    assert!(refused.to_string().contains("app-rehearsal-1"), "{refused}");
    let_go(first, &scratch).await;
    run(&scratch.url, "CREATE TABLE by_point (id int)").await;
    let again = claim_again(&sides, "app-rehearsal-1", None).await.unwrap();
    let_go(again, &scratch).await;
    assert!(is_there(&scratch.url, "by_point").await);
    let second = claim(&sides, "app-rehearsal-2", None).await.unwrap();
    let_go(second, &scratch).await;
    assert!(!is_there(&scratch.url, "by_point").await);
}

/// A rehearsal that was interrupted amid its feed leaves functions and triggers, which go with the next one.
#[tokio::test]
async fn what_notes_writes_goes_with_the_tables() {
    let (scratch, target) = (support::database().await, support::database().await);
    let sides = sides(&scratch, &target.url);
    let mut first = claim(&sides, "app-rehearsal-1", None).await.unwrap();
    run(&scratch.url, "CREATE TABLE made (id int PRIMARY KEY)").await;
    first.record().await.unwrap();
    let tables = [Captured {
        number: 1,
        schema: "public".to_owned(),
        table: "made".to_owned(),
        key: vec!["id".to_owned()],
    }];
    let client = connect(&scratch.url).await;
    let noting = capture::install(&client, "app-rehearsal-1", &tables).await;
    noting.expect("the feed's triggers");
    run(&scratch.url, "INSERT INTO made VALUES (1)").await;
    drop(client);
    let_go(first, &scratch).await;
    claim(&sides, "app-rehearsal-2", None).await.unwrap();
    for gone in ["made", "cutover.feed_notes", "cutover.feed_tables"] {
        assert!(!is_there(&scratch.url, gone).await, "{gone}");
    }
}
