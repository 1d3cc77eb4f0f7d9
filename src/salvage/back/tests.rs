//! Every setting of a column has its way back. Not in here: whole nights (`tests/salvage`).

use super::*;

#[test]
fn a_label_comes_back_as_the_column_writes_it() {
    let labels = ["pending", "paid"].map(str::to_owned).to_vec();
    let mut policy = ColumnPolicy::default();
    policy.set("enum", "ordinal").expect("a setting");
    let rule = Rule {
        kind: Kind::Label(labels),
        policy,
        zone: None,
        default: None,
    };
    for (example, back) in [
        (Cell::text("pending"), Cell::text("paid")),
        (Cell::Integer(0), Cell::Integer(1)),
        (Cell::text("0"), Cell::text("1")),
    ] {
        let reverse = Reverse::of(&rule, "", &[example]);
        assert_eq!(reverse.value(Some("paid")), Back::Exact(back));
        assert_eq!(reverse.value(None), Back::Exact(Cell::Null));
    }
}

/// A blank that fills `char(n)` is the application's own, and one that PostgreSQL has put there is not.
#[test]
fn a_char_comes_back_with_the_blanks_that_are_its_own() {
    let mut policy = ColumnPolicy::default();
    policy.set("char_padding", "pad").expect("a setting");
    let back = |length: i32, examples: &[&str], text: &str| {
        let examples: Vec<Cell> = examples.iter().map(|text| Cell::text(*text)).collect();
        let reverse = Reverse::new("bpchar", length + 4, &policy, None, "CHAR", &examples);
        reverse.value(Some(text))
    };
    let exact = |text: &str| Back::Exact(Cell::text(text));
    // Of full length, each of them.
    assert_eq!(back(1, &["F", "I"], " "), exact(" "));
    assert_eq!(back(2, &["ab", "c "], "d "), exact("d "));
    // So far, but none by blanks.
    assert_eq!(back(4, &["abcd", "wxyz"], "a   "), exact("a"));
    // Some are shorter: what the application has written comes back as it was, what is new without padding.
    assert_eq!(back(2, &["a", "c "], "c "), exact("c "));
    assert_eq!(back(2, &["a", "c "], "d "), exact("d"));
    assert_eq!(back(2, &["a"], "a "), exact("a"));
    assert_eq!(back(4, &[], "ab  "), exact("ab"));
}

/// What the import made of a value of the column comes back as that value.
#[test]
fn every_setting_has_a_way_back() {
    let ticks = 638_448_068_960_000_000_i64;
    for (kind, settings, cell, text) in [
        (
            "timestamptz",
            &[("epoch", "ns")][..],
            Cell::Integer(1_709_210_096_123_456_000),
            "2024-02-29 12:34:56.123456+00",
        ),
        (
            "timestamptz",
            &[("epoch", "days"), ("zone", "+02:00")],
            Cell::Integer(19_782),
            "2024-02-28 22:00:00+00",
        ),
        (
            "timestamp",
            &[("epoch", "oadate")],
            Cell::Real(45_351.75),
            "2024-02-29 18:00:00",
        ),
        (
            "timestamptz",
            &[("epoch", "dotnet_binary")],
            Cell::Integer(ticks | 1 << 62),
            "2024-02-29 12:34:56+00",
        ),
        (
            "timestamptz",
            &[("epoch", "ef_offset")],
            Cell::Integer((ticks / 1_000) << 11),
            "2024-02-29 12:34:56+00",
        ),
        (
            "timestamptz",
            &[("epoch", "calendar"), ("zone", "+01:00")],
            Cell::text("20240229133456"),
            "2024-02-29 12:34:56+00",
        ),
        (
            "date",
            &[("epoch", "calendar")],
            Cell::Integer(20_240_229),
            "2024-02-29",
        ),
        (
            "date",
            &[("epoch", "ms"), ("zone", "+02:00")],
            Cell::Integer(1_709_157_600_000),
            "2024-02-29",
        ),
        (
            "interval",
            &[("epoch", "us")],
            Cell::Integer(-1_500_000),
            "PT-1.5S",
        ),
        ("interval", &[("epoch", "s")], Cell::Real(1.5), "PT1.5S"),
        (
            "interval",
            &[("since", "1970-01-01")],
            Cell::text("1970-01-01 00:00:01.500000"),
            "PT1.5S",
        ),
        (
            "text",
            &[("bytes", "text")],
            Cell::Blob("é".as_bytes().to_vec()),
            "é",
        ),
        (
            "jsonb",
            &[("bytes", "text")],
            Cell::Blob(b"8080".to_vec()),
            "8080",
        ),
        ("json", &[("real", "shortest")], Cell::Real(1e20), "1e+20"),
        ("json", &[("real", "shortest")], Cell::Real(1.0), "1.0"),
        ("_text", &[("split", ",")], Cell::text("a,b"), "{a,b}"),
        ("_int4", &[("split", ";")], Cell::text("1;2"), "{1,2}"),
    ] {
        let mut policy = ColumnPolicy::default();
        for (key, value) in settings {
            policy.set(key, value).expect("a setting");
        }
        let reverse = Reverse::new(kind, -1, &policy, None, "", std::slice::from_ref(&cell));
        assert_eq!(
            reverse.value(Some(text)),
            Back::Exact(cell),
            "{kind} {settings:?}"
        );
    }
}

#[test]
fn what_stands_for_another_value_comes_back_as_itself() {
    let mut policy = ColumnPolicy::default();
    policy.set("epoch", "ms").expect("a setting");
    policy.replace("0", Replacement::Null);
    policy.replace("253402300799999", Replacement::Infinity);
    let examples = [Cell::Integer(0), Cell::Integer(1_709_210_096_123)];
    let reverse = Reverse::new("timestamptz", -1, &policy, None, "INTEGER", &examples);
    assert_eq!(reverse.value(None), Back::Exact(Cell::Integer(0)));
    assert_eq!(
        reverse.value(Some("infinity")),
        Back::Exact(Cell::Integer(253_402_300_799_999))
    );
    let with_null = [Cell::Null, Cell::Integer(0)];
    let reverse = Reverse::new("timestamptz", -1, &policy, None, "INTEGER", &with_null);
    assert_eq!(reverse.value(None), Back::Exact(Cell::Null));
}

/// SQLite takes a text for the number that it reads as, where the column is one of numbers, and knows one zero there.
#[test]
fn a_value_that_the_column_would_change_is_not_exact() {
    let policy = ColumnPolicy::default();
    let name = [Cell::text("abc")];
    let of = |declared: &str| Reverse::new("text", -1, &policy, None, declared, &name);
    let code = Cell::text("0011");
    assert_eq!(of("TEXT").value(Some("0011")), Back::Exact(code.clone()));
    assert_eq!(of("STRING").value(Some("0011")), Back::Nearest(code));
    let plain = Back::Exact(Cell::text("11 b"));
    assert_eq!(of("STRING").value(Some("11 b")), plain);
    let zero = Reverse::new("float8", -1, &policy, None, "REAL", &[]);
    assert_eq!(zero.value(Some("-0")), Back::Nearest(Cell::Real(-0.0)));
}

/// What is told of a column: what applications write, by value and nearest, and the rest by its sort.
fn told(reverse: &Reverse) -> (Vec<String>, Vec<String>) {
    let exceptions = reverse.exactness().exceptions;
    let (rare, usual): (Vec<_>, Vec<_>) = exceptions.into_iter().partition(|one| one.rare);
    let usual = usual.iter().map(|one| {
        let nearest = one.nearest.as_deref().unwrap_or("nothing");
        format!("{}: {} → {nearest}", one.values, one.example)
    });
    (
        usual.collect(),
        rare.into_iter().map(|one| one.values).collect(),
    )
}

/// `atttypmod` of `numeric(p,s)`.
fn numeric_of(precision: i32, scale: i32) -> i32 {
    ((precision << 16) | scale) + 4
}

#[test]
fn a_column_tells_beforehand_what_would_not_come_back() {
    let moment = "2024-02-29T12:34:56.123Z";
    let far = ["years beyond 262000", "years before 1", "infinity"];
    let (as_is, all): (&[(&str, &str)], &[&str]) = (&[], &[]);
    for (kind, modifier, settings, declared, example, usual, rare) in [
        ("int8", -1, as_is, "INTEGER", Cell::Integer(7), all, all),
        ("bool", -1, &[], "INTEGER", Cell::Integer(1), &[], &[]),
        ("text", -1, &[], "TEXT", Cell::text("a"), &[], &[]),
        ("varchar", 24, &[], "VARCHAR(20)", Cell::text("a"), &[], &[]),
        ("bytea", -1, &[], "BLOB", Cell::Blob(vec![0]), &[], &[]),
        (
            "uuid",
            -1,
            &[],
            "TEXT",
            Cell::text("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
            &[],
            &[],
        ),
        (
            "uuid",
            -1,
            &[("guid_bytes", "dotnet")],
            "BLOB",
            Cell::Blob(vec![7; 16]),
            &[],
            &[],
        ),
        (
            "text",
            -1,
            &[],
            "STRING",
            Cell::text("a"),
            &["texts that read as numbers, which SQLite takes for those in this column: 0011 → 11"],
            &[],
        ),
        (
            "timestamptz",
            -1,
            &[],
            "TEXT",
            Cell::text(moment),
            &[],
            &far,
        ),
        (
            "timestamptz",
            -1,
            &[("epoch", "ms")],
            "INTEGER",
            Cell::Integer(1_709_210_096_123),
            &[
                "fractions of a second finer than a millisecond: 2024-02-29 12:34:56.7894+00 → 1709210096789",
            ],
            &far,
        ),
        (
            "timestamptz",
            3,
            &[("epoch", "ms")],
            "INTEGER",
            Cell::Integer(1_709_210_096_123),
            &[],
            &far,
        ),
        (
            "numeric",
            numeric_of(10, 2),
            &[("real", "shortest")],
            "REAL",
            Cell::Real(12.5),
            &[],
            &["NaN"],
        ),
        (
            "numeric",
            numeric_of(20, 10),
            &[("real", "shortest")],
            "REAL",
            Cell::Real(12.5),
            &["numbers of more than 15 digits: 9999999999.9999999980 → 10000000000.0"],
            &["NaN"],
        ),
        (
            "numeric",
            numeric_of(20, 10),
            &[],
            "TEXT",
            Cell::text("12.5"),
            &[],
            &["NaN"],
        ),
        (
            "_text",
            -1,
            &[("split", ",")],
            "TEXT",
            Cell::text("a,b"),
            &[
                "elements with the separator in them: {\"a,b\"} → 'a,b'",
                "elements: the empty text: {\"\"} → ''",
            ],
            &[
                "elements that are NULL",
                "arrays of two dimensions",
                "arrays that do not begin at 1",
            ],
        ),
    ] {
        let mut policy = ColumnPolicy::default();
        for (key, value) in settings {
            policy.set(key, value).expect("a setting");
        }
        let reverse = Reverse::new(kind, modifier, &policy, None, declared, &[example]);
        let told = told(&reverse);
        let wanted = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            told,
            (wanted(usual), wanted(rare)),
            "{kind} {settings:?} {declared}"
        );
    }
}
