//! Sections on two small schemas.

use super::*;
use crate::runbook::parse_transfer;

fn known() -> Known<'static> {
    let table = |name, columns: &[&'static str]| Table {
        name,
        columns: columns.to_vec(),
    };
    Known {
        source: vec![
            table("Orders", &["id", "placed_at", "Paid_At"]),
            table("secrets", &["id", "s", "k"]),
        ],
        others: vec!["Search"],
        target: vec![
            table("orders", &["id", "placed_at"]),
            table("seeds", &["n"]),
        ],
        constraints: Some(vec!["orders_fk"]),
        triggers: Some(vec!["orders_touch"]),
    }
}

fn told(section: &str) -> Vec<(String, Weight)> {
    let transfer = parse_transfer("section", section).expect("a section");
    let found = strays(&transfer, &known()).into_iter();
    found.map(|stray| (stray.reason, stray.weight)).collect()
}

#[test]
fn what_names_something_is_no_stray() {
    let section = "
exclude: [SECRETS, orders.paid_at, Seeds, search, 'sec*', __EFMigrationsLock, sqlite_sequence]
rename: { orders: o, secrets.K: k2 }
accept: ['unique ORDERS(placed_at, id)', 'next id seeds(n)', search path, constraint orders_fk, trigger orders_touch, 'foreign key *', '*']
columns: { ORDERS.paid_at: { fraction: round }, '*': { on_problem: quarantine } }
lists: [{ name: l, table: orders, order_by: [PAID_AT desc] }]
slugs: [{ table: Secrets, column: K }]
";
    let found = told(section);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn what_names_nothing_is_told_with_its_line() {
    for (section, wanted, weight) in [
        (
            "zone: UTC\ncolumns: { order.placed_at: { fraction: round } }",
            "`columns: order.placed_at` (line 2) names no column of the SQLite file, so that it does nothing; did you mean \
             `Orders.placed_at`?",
            Weight::Import,
        ),
        (
            "columns: { secrets.nosuch: { fraction: round } }",
            "names no column of the SQLite file, so that it does nothing; secrets has id, s, k",
            Weight::Import,
        ),
        (
            "columns: { secrets.n: { fraction: round } }",
            "did you mean `secrets.k` or `secrets.s`?",
            Weight::Import,
        ),
        (
            "columns: { Orders.at: { fraction: round } }",
            "so that it does nothing; Orders has id, placed_at, Paid_At",
            Weight::Import,
        ),
        (
            "exclude: [order_secrets]",
            "`exclude: order_secrets` (line 1)",
            Weight::Import,
        ),
        (
            "exclude: ['x*']",
            "names no table or column",
            Weight::Nothing,
        ),
        (
            "columns: { '*.nosuch': { fraction: round } }",
            "names no column",
            Weight::Nothing,
        ),
        (
            "rename: { secret: kv2 }",
            "did you mean `secrets`?",
            Weight::Import,
        ),
        (
            "accept: ['unique secret(k)']",
            "did you mean `unique secrets(k)`?",
            Weight::Import,
        ),
        (
            "accept: ['unique secrets(kk)']",
            "did you mean `unique secrets(k)`",
            Weight::Import,
        ),
        (
            "accept: [constraint order_fk]",
            "did you mean `constraint orders_fk`?",
            Weight::Import,
        ),
        (
            "accept: [trigger nosuch]",
            "so that it does nothing",
            Weight::Import,
        ),
        (
            "accept: ['uniq secrets(k)']",
            "it takes next id, primary key",
            Weight::Import,
        ),
        (
            "accept: ['unique nosuch*']",
            "so that it does nothing",
            Weight::Nothing,
        ),
        (
            "lists: [{ name: l, table: Orders, order_by: [paid] }]",
            "is about the column paid, which Orders does not have",
            Weight::Check,
        ),
        (
            "slugs: [{ table: secret, column: k }]",
            "did you mean `secrets`?",
            Weight::Check,
        ),
    ] {
        let found = told(section);
        assert_eq!(found.len(), 1, "{section}: {found:?}");
        assert!(found[0].0.contains(wanted), "{section}: {found:?}");
        assert_eq!(found[0].1, weight, "{section}");
    }
}
