//! Sums that are said: exact only where every table could be told, and of a file only what is in it.

use std::path::Path;
use std::process::Command;

use cutover::salvage::TableCost;
use cutover::salvage::tally::{held, total};

fn costs() -> Vec<TableCost> {
    let table = |inserted, lacks: bool, broke_off| TableCost {
        inserted,
        lacks: lacks.then(|| "slow".to_owned()),
        broke_off,
        ..TableCost::default()
    };
    vec![table(5, false, false), table(2, true, true)]
}

#[test]
fn a_count_that_is_not_complete_is_no_exact_one() {
    let said = total(&costs());
    assert!(said.starts_with("at least 7 rows"), "{said}");
    assert!(said.ends_with("; 1 tables could not be told"), "{said}");
    assert!(total(&costs()[..1]).starts_with("5 rows"));
}

#[test]
fn a_file_says_what_it_holds_and_what_is_back() {
    let said = held(&costs(), 0, Path::new("app.db"));
    assert!(said.starts_with("5 rows are in this file"), "{said}");
    assert!(said.ends_with("of 1 tables it is not complete"), "{said}");
    let said = held(&costs(), 3, Path::new("app.db"));
    says!(said, "3 of them were brought into app.db");
}

#[test]
fn a_statement_limit_has_bounds() {
    for (limit, usage) in [("0", true), ("86401", true), ("86400", false)] {
        let folder = tempfile::tempdir().expect("a folder");
        let ended = Command::new(env!("CARGO_BIN_EXE_cutover"))
            .args(["salvage", "cost", "--limit", limit, "--dir"])
            .arg(folder.path())
            .output()
            .expect("it starts");
        assert_eq!(ended.status.code() == Some(2), usage, "{limit}: {ended:?}");
    }
}
