//! Rows of one side, rows of the other, and what is said of how they differ.

use super::super::canon::Row;
use super::super::equality::{Kind as TypeKind, Rule};
use super::super::pair::ColumnPair;
use super::super::source_value::Encoding;
use super::*;
use crate::runbook::transfer::ColumnPolicy;

fn pair(key_columns: usize) -> TablePair {
    let column = |name: &str| ColumnPair {
        source: name.to_owned(),
        target: name.to_owned(),
        rule: Rule {
            kind: TypeKind::Text,
            policy: ColumnPolicy::default(),
            zone: None,
            default: None,
        },
        computed: false,
    };
    TablePair {
        source: "T".into(),
        schema: "public".into(),
        target: "T".into(),
        columns: vec![column("k"), column("v")],
        key_columns,
        rowid: None,
        aside: None,
        nulled: None,
        source_key: Vec::new(),
        is_partitioned: false,
        has_long_values: false,
        has_computed: false,
        encoding: Encoding::Utf8,
        size_bytes: 0,
    }
}

fn compare(key_columns: usize, source: &[(&str, &str)], target: &[(&str, &str, bool)]) -> Found {
    let mut unmatched = Unmatched::default();
    let form = |k: &str, v: &str| {
        let mut row = Row::default();
        row.value(k.as_bytes());
        let mark = row.mark();
        row.value(v.as_bytes());
        let key_bytes = if key_columns == 0 { row.mark() } else { mark };
        (
            row.bytes().to_vec(),
            key_bytes,
            vec![k.to_owned(), v.to_owned()],
        )
    };
    for (k, v) in source {
        let (canonical, key_bytes, shown) = form(k, v);
        unmatched.hold_source(Arriving {
            canonical: &canonical,
            key_bytes,
            shown,
            address: None,
            is_new: false,
        });
    }
    for (k, v, is_new) in target {
        let (canonical, key_bytes, shown) = form(k, v);
        if *is_new || !unmatched.let_go(&canonical, key_bytes) {
            unmatched.hold_target(Arriving {
                canonical: &canonical,
                key_bytes,
                shown,
                address: None,
                is_new: *is_new,
            });
        }
    }
    let mut found = Found::default();
    unmatched.judge(&pair(key_columns), &mut found);
    found
}

fn counts(found: &Found) -> (u64, u64, u64, u64) {
    (
        found.missing,
        found.extra,
        found.different,
        found.changed_since,
    )
}

#[test]
fn names_what_is_missing_extra_and_different() {
    let found = compare(
        1,
        &[("1", "a"), ("2", "b"), ("3", "c")],
        &[("1", "a", false), ("2", "x", false), ("4", "d", false)],
    );
    assert_eq!(counts(&found), (1, 1, 1, 0));
    let different = found
        .differences
        .iter()
        .find(|(_, d)| d.kind == Kind::Different)
        .expect("one differs");
    assert_eq!(
        (different.1.key.as_str(), different.1.column.as_str()),
        ("k=2", "v")
    );
    assert_eq!(
        (different.1.source.as_str(), different.1.target.as_str()),
        ("b", "x")
    );
}

#[test]
fn a_real_that_looks_the_same_says_what_it_is() {
    let numeric = equality::Kind::Numeric {
        precision: None,
        scale: Some(2),
    };
    let told = |source, target| told_apart(source, target, &numeric);
    assert!(told("4960.27", "4960.27").contains("`real: shortest`"));
    assert!(told("4960.5", "4960.50").contains("a REAL"));
    assert_eq!(told("4960.27", "4960.28"), "4960.27");
    assert_eq!(told("NULL", "NULL"), "NULL");
    let text = told_apart("'1'", "'1'", &equality::Kind::Text);
    assert_eq!(text, "'1'");
}

#[test]
fn duplicates_count() {
    assert_eq!(
        counts(&compare(0, &[("1", "a"), ("1", "a")], &[("1", "a", false)])),
        (1, 0, 0, 0)
    );
    assert_eq!(
        counts(&compare(
            1,
            &[("1", "a")],
            &[("1", "a", false), ("1", "a", false)]
        )),
        (0, 1, 0, 0)
    );
    assert_eq!(
        counts(&compare(0, &[("1", "a")], &[("1", "b", false)])),
        (1, 1, 0, 0)
    );
}

#[test]
fn what_the_application_wrote_after_the_switch_is_no_difference() {
    assert_eq!(
        counts(&compare(1, &[("1", "a")], &[("1", "b", true)])),
        (0, 0, 0, 1)
    );
    assert_eq!(
        counts(&compare(1, &[("1", "a")], &[("1", "a", true)])),
        (0, 0, 0, 1)
    );
    assert_eq!(counts(&compare(1, &[], &[("1", "b", true)])), (0, 0, 0, 0));
}

#[test]
fn the_first_examples_are_the_first_by_key() {
    let mut examples = Examples::new(2);
    let found = compare(1, &[("3", "c"), ("1", "a"), ("2", "b")], &[]);
    examples.take(found.differences);
    let keys: Vec<_> = examples
        .into_differences()
        .into_iter()
        .map(|d| d.key)
        .collect();
    assert_eq!(keys, ["k=1", "k=2"]);
}

#[test]
fn groups_hold_every_differing_partition_once() {
    let differing: Vec<_> = (0..100).map(|at| (at, GROUP_BYTES / 3)).collect();
    let groups = Group::divide(&differing, Partitions::of_table(0));
    assert_eq!(groups.len(), 34);
    for at in 0..100 {
        assert_eq!(groups.iter().filter(|group| group.holds(at)).count(), 1);
    }
}
