//! The torture corpus: every row arrives exactly, or is refused by name, or passes under the policy that its line names.

use cutover::postgres::{Endpoint, quoted};
use cutover::runbook::transfer::{ColumnPolicy, OnProblem, Pattern, TargetRows, Transfer, Zone};
use cutover::transfer::copy::Options;
use cutover::transfer::plan::{Problem, RowKey};

use super::{Pair, fixture};

/// Every policy that the torture corpus needs; what no policy lets pass is put aside.
pub const SETTLED: &str = r#"
zone: UTC
target_rows: replace
exclude: [torture_expect, "LLLL*", "", OnlyInSqliteTable, Drift, "*2Jevil"]
columns:
  "*": { on_problem: quarantine }
  Bools.V: { boolean_words: true, boolean_bytes: true }
  Instants.V: { fraction: truncate, offset: to_utc, far_years: keep, epoch: s }
  NaiveTs.V: { fraction: truncate }
  DateOnlys.V: { midnight: allow }
  EpochInstants.V: { epoch: ms }
  Decimals.V: { negative_zero: drop }
  Guids.V: { guid_text: any }
  JsonDocs.V: { jsonb_blob: decode }
  PgEnum.V: { enum: ordinal }
  PgChar.V: { char_padding: pad }
  PgInet.V: { netmask: keep }
"#;

/// A file of the corpus.
pub fn file(name: &str) -> String {
    let path = fixture("torture").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

struct Case {
    table: String,
    column: String,
    row: String,
    expect: String,
    pg_text: Option<String>,
    note: String,
}

async fn corpus() -> (Pair, Vec<Case>) {
    // Letter case beyond ASCII needs a locale that knows it.
    let pair = Pair::in_locale(&file("sqlite.sql"), "C.UTF-8").await;
    let superuser = Endpoint::parse(&pair.database.superuser_url).expect("a URL");
    let extension = superuser.connect().await.expect("a connection");
    extension
        .batch_execute("CREATE EXTENSION IF NOT EXISTS citext")
        .await
        .expect("citext");
    pair.execute(&file("postgres.sql")).await;
    let connection = rusqlite::Connection::open(&pair.file).expect("the file");
    let mut statement = connection
        .prepare("SELECT tbl, col, row_id, expect, pg_text, note FROM torture_expect")
        .expect("the manifest");
    let cases = statement
        .query_map([], |row| {
            Ok(Case {
                table: row.get(0)?,
                column: row.get(1)?,
                row: row.get(2)?,
                expect: row.get(3)?,
                pg_text: row.get(4)?,
                note: row.get(5)?,
            })
        })
        .expect("the manifest")
        .collect::<Result<Vec<Case>, _>>()
        .expect("the manifest");
    assert!(cases.len() > 80);
    (pair, cases)
}

/// Whether a problem is the one that a case expects: that row of that column, or the whole column or table.
fn names(problem: &Problem, case: &Case) -> bool {
    let column = problem.column == case.column || problem.column.is_empty();
    let row = match &problem.rowid {
        RowKey::Rowid(rowid) => rowid.to_string() == case.row,
        RowKey::Key(key) => *key == case.row,
        RowKey::None => true,
    };
    problem.table == case.table && column && row
}

#[tokio::test]
async fn the_plan_names_every_row_that_must_not_pass() {
    let (pair, cases) = corpus().await;
    let transfer = Transfer {
        exclude: vec![Pattern::new("torture_expect")],
        ..Transfer::default()
    };
    let plan = pair.plan(&transfer).await;
    let mut missed = Vec::new();
    for case in &cases {
        let found = plan.problems.iter().any(|problem| names(problem, case));
        if found != (case.expect != "ok") {
            missed.push(format!(
                "{}.{} row {}: expected {}: {}",
                case.table, case.column, case.row, case.expect, case.note
            ));
        }
    }
    assert!(
        missed.is_empty(),
        "{}\n\nproblems:\n{}",
        missed.join("\n"),
        plan.problems
            .iter()
            .map(|p| format!("{p}\n"))
            .collect::<String>()
    );
    for skipped in [
        "ActiveDefaults",
        "Search",
        "Search_data",
        "Boxes",
        "Boxes_node",
        "__EFMigrationsHistory",
        "OnlyInPgTable",
    ] {
        assert!(
            plan.skipped.iter().any(|entry| entry.name == skipped),
            "{skipped} is not reported"
        );
    }
    println!("{}", plan.suggested);
}

/// Columns whose rows pass under a policy, with that policy. The epochs are a column of two units, so each has a run of its own.
fn policies(epoch: &str) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let set = |key: &'static str, value: &str| (key, value.to_owned());
    vec![
        (
            "Bools.V",
            vec![set("boolean_words", "true"), set("boolean_bytes", "true")],
        ),
        (
            "Instants.V",
            vec![
                set("fraction", "truncate"),
                set("offset", "to_utc"),
                set("far_years", "keep"),
                set("epoch", "s"),
            ],
        ),
        ("NaiveTs.V", vec![set("fraction", "truncate")]),
        ("DateOnlys.V", vec![set("midnight", "allow")]),
        ("EpochInstants.V", vec![set("epoch", epoch)]),
        ("Decimals.V", vec![set("negative_zero", "drop")]),
        ("Guids.V", vec![set("guid_text", "any")]),
        ("JsonDocs.V", vec![set("jsonb_blob", "decode")]),
        ("PgEnum.V", vec![set("enum", "ordinal")]),
        ("PgChar.V", vec![set("char_padding", "pad")]),
        ("PgInet.V", vec![set("netmask", "keep")]),
    ]
}

/// With every policy of the corpus, every row that must not pass put aside, and what has no partner left out.
fn settled(epoch: &str) -> Transfer {
    let mut transfer = Transfer {
        zone: Some(Zone::UTC),
        target_rows: TargetRows::Replace,
        ..Transfer::default()
    };
    for name in [
        "torture_expect",
        "LLLL*",
        "",
        "OnlyInSqliteTable",
        "Drift",
        "*2Jevil",
    ] {
        transfer.exclude.push(Pattern::new(name));
    }
    for (column, settings) in policies(epoch) {
        let mut policy = ColumnPolicy::default();
        for (key, value) in settings {
            policy.set(key, &value).expect("a known setting");
        }
        transfer.columns.push((Pattern::new(column), policy));
    }
    let aside = ColumnPolicy {
        on_problem: Some(OnProblem::Quarantine),
        ..ColumnPolicy::default()
    };
    transfer.columns.push((Pattern::new("*"), aside));
    transfer
}

/// The one row that the corpus' target has and SQLite does not.
fn losing_the_preloaded() -> Options {
    Options {
        discard: [("Preloaded".to_owned(), 1)].into(),
        ..Options::default()
    }
}

#[tokio::test]
async fn every_row_arrives_or_is_put_aside() {
    for epoch in ["s", "ms"] {
        let (pair, cases) = corpus().await;
        let copied = pair
            .copy_with(&settled(epoch), &losing_the_preloaded())
            .await
            .expect("the import");
        let client = pair.client().await;
        client
            .batch_execute("SET TIME ZONE 'UTC'")
            .await
            .expect("a setting");
        let mut wrong = Vec::new();
        for case in cases
            .iter()
            .filter(|case| !["Drift", "OnlyInSqliteTable", ""].contains(&case.table.as_str()))
        {
            if case.table.starts_with("LLLL")
                || case.row == "*"
                || case.table.starts_with("__EF")
                || case.row == "nextval"
            {
                continue;
            }
            // The unit of EpochInstants is right for some of its rows only, and a cast shows an address with its prefix.
            let epoch_of_other_rows = case.table == "EpochInstants"
                && (case.row == "3") != (epoch == "ms")
                && case.row != "1";
            let pair_row = case.table == "Preloaded";
            let key = if case.table == "IntPkNotAlias" {
                continue;
            } else {
                "Id"
            };
            if epoch_of_other_rows || pair_row {
                continue;
            }
            // A cast of char(n) to text cuts the padding off.
            let shown = if case.table == "PgChar" {
                "format('%s', \"V\")"
            } else {
                "\"V\"::text"
            };
            let sql = format!(
                "SELECT {} FROM \"{}\" WHERE \"{key}\" = {}",
                if case.column == "V" {
                    shown.to_owned()
                } else {
                    format!("{}::text", quoted(&case.column))
                },
                case.table.replace('"', "\"\""),
                case.row
            );
            let rows = client.query(&sql, &[]).await.expect(&sql);
            let found: Option<Option<String>> = rows.first().map(|row| row.get(0));
            let expected = match case.expect.as_str() {
                "refuse" => None,
                _ => Some(case.pg_text.clone()),
            };
            // What SQLite made of a literal depends on its version.
            let bits_only = case.note.contains("stored bits")
                || case.note.contains("already happened in SQLite");
            if found != expected && !(bits_only && found.is_some()) {
                wrong.push(format!(
                    "{}.{} row {}: {found:?}, expected {expected:?}",
                    case.table, case.column, case.row
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(copied.quarantined > 30);
        assert!(
            copied
                .policies
                .keys()
                .any(|policy| policy == "Instants.V: fraction"),
            "{:?}",
            copied.policies
        );
        pair.holds(
            "SELECT count(*)::text FROM \"NoPk\" WHERE \"A\" = 'dup'",
            "3",
        )
        .await;
        pair.holds("SELECT nextval('\"AutoInc_Id_seq\"')::text", "4")
            .await;
        pair.holds("SELECT nextval('\"AutoIncEmptied_Id_seq\"')::text", "51")
            .await;
        pair.holds("SELECT nextval('\"RowidReuse_Id_seq\"')::text", "15")
            .await;
        let history = pair
            .text("SELECT string_agg(\"MigrationId\", ',') FROM \"__EFMigrationsHistory\"")
            .await;
        assert_eq!(
            history.as_deref(),
            Some("20240101000000_InitialPostgres"),
            "the target keeps its own history"
        );
        pair.holds(
            "SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'trg_stamp'",
            "O",
        )
        .await;
    }
}

#[tokio::test]
async fn the_suggested_section_settles_everything() {
    let (pair, _) = corpus().await;
    let first = pair
        .plan(&Transfer {
            exclude: vec![Pattern::new("torture_expect")],
            ..Transfer::default()
        })
        .await;
    let section = cutover::runbook::parse_transfer("suggested", &first.suggested).unwrap_or_else(
        |problems| {
            panic!(
                "{}\n{}",
                cutover::runbook::render(&problems),
                first.suggested
            )
        },
    );
    // Seconds beside milliseconds: no unit is guessed, both are named, and people have to say what is to become of them.
    let mixed = "1 of 2 as s (1709210096";
    let named = first
        .problems
        .iter()
        .any(|problem| problem.reason.contains(mixed));
    assert!(
        named,
        "{:?}",
        first
            .problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    );
    // Nor is a table emptied: where no row of it would be left, that is said and not suggested.
    for emptied in ["DynReal: 4 of 4 row(s)", "TimeOnlys: 3 of 3 row(s)"] {
        let said = first.problems.iter().map(ToString::to_string);
        assert!(
            said.filter(|problem| problem.contains("nothing would be left"))
                .any(|problem| problem.starts_with(emptied)),
            "{emptied}"
        );
    }
    let mut section = section;
    for column in ["EpochInstants.V", "DynReal.V", "TimeOnlys.V"] {
        let mut aside = ColumnPolicy::default();
        aside
            .set("on_problem", "quarantine")
            .expect("a known setting");
        section.columns.push((Pattern::new(column), aside));
    }
    let second = pair.plan(&section).await;
    let left: Vec<String> = second.problems.iter().map(ToString::to_string).collect();
    // What has no place in the target is not left behind by pasting: somebody has to say so.
    assert!(
        left.iter()
            .all(|problem| problem.contains("would stay behind")),
        "{}\n{}",
        left.join("\n"),
        first.suggested
    );
    let behind = second.problems.iter().map(|problem| {
        let (_, named) = problem
            .reason
            .split_once("with `exclude: ")
            .expect("what to state");
        let (named, _) = named.rsplit_once("` ").expect("what to state");
        Pattern::new(named)
    });
    section.exclude.extend(behind);
    let third = pair.plan(&section).await;
    assert!(third.problems.is_empty(), "{:?}", third.problems);
    pair.copy_with(&section, &losing_the_preloaded())
        .await
        .expect("what the plan lets pass, the import takes");
}
