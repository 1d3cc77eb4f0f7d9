//! What the import has written, read by code that shares no conversion with it: two witnesses that must agree, value by value.

use super::pair::{Pair, compared};
use crate::support;
use crate::transfer::torture::{SETTLED, file as fixture};
use cutover::parity;
use cutover::postgres::Endpoint;
use cutover::runbook::{parse_transfer, render};
use cutover::transfer::copy::{self, copy};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn the_torture_corpus_arrives_as_the_checker_reads_it() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("torture.db");
    support::sqlite(&file, &fixture("sqlite.sql"));
    let database = support::database().await;
    let superuser = support::client(&database.superuser_url).await;
    superuser
        .batch_execute("CREATE EXTENSION citext")
        .await
        .expect("citext");
    let target = Endpoint::parse(&database.url).expect("a URL");
    target
        .connect()
        .await
        .expect("a connection")
        .batch_execute(&fixture("postgres.sql"))
        .await
        .expect("postgres.sql");
    let transfer = parse_transfer("settled", SETTLED)
        .unwrap_or_else(|problems| panic!("{}", render(&problems)));
    let cancel = CancellationToken::new();
    // The corpus' target has a row that SQLite does not have.
    let losing_the_preloaded = copy::Options {
        discard: [("Preloaded".to_owned(), 1)].into(),
        ..copy::Options::default()
    };
    let copied = copy(
        &file,
        &target,
        "public",
        &transfer,
        &losing_the_preloaded,
        &|_| (),
        &cancel,
    )
    .await;
    let copied = copied.unwrap_or_else(|e| panic!("{e}"));
    let report = compared(&file, &target, &transfer).await;
    let wrong: Vec<_> = report
        .tables
        .iter()
        .filter(|table| !table.is_equal())
        .map(|table| table.verdict("E2"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let aside: u64 = report.tables.iter().map(|table| table.quarantined).sum();
    assert_eq!(aside, copied.quarantined);
}

#[tokio::test]
async fn an_import_passes_every_check() {
    let pair = Pair::load().await;
    pair.on_target(r#"TRUNCATE "Categories", "Tools", "ToolTags", "Log", "Empty""#)
        .await;
    let cancel = CancellationToken::new();
    let mut transfer = pair.transfer.clone();
    let mut pad = cutover::runbook::transfer::ColumnPolicy::default();
    pad.set("char_padding", "pad").expect("a setting");
    transfer
        .columns
        .push((cutover::runbook::transfer::Pattern::new("Tools.Code"), pad));
    let copied = copy(
        &pair.source,
        &pair.endpoint(),
        "public",
        &transfer,
        &copy::Options::default(),
        &|_| (),
        &cancel,
    )
    .await;
    assert_eq!(copied.unwrap_or_else(|e| panic!("{e}")).rows, 562);
    let report = pair.compare().await;
    assert!(report.equal, "{report:#?}");
    let red: Vec<_> = parity::checks::all(&pair.sides().await, &parity::checks::Equal::of(&report))
        .await
        .expect("checks")
        .into_iter()
        .filter(|check| !check.ok)
        .collect();
    assert!(red.is_empty(), "{red:#?}");
}
