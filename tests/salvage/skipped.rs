//! `--skip-conflicts`: what refers to a row that is skipped is skipped with it and named, and the others come in.

use cutover::salvage::apply::{Fate, Means, Outcome, apply};

use super::whole::{Night, Row};
use crate::support::sqlite as execute;

const SCHEMA: &str = "
    CREATE TABLE Authors (Id INTEGER PRIMARY KEY, Name TEXT UNIQUE);
    CREATE TABLE Books (Id INTEGER PRIMARY KEY, Author INTEGER NOT NULL REFERENCES Authors, Title TEXT);
    CREATE TABLE Loans (Book INTEGER NOT NULL REFERENCES Books (Id), Day TEXT NOT NULL, PRIMARY KEY (Book, Day));
    INSERT INTO Authors VALUES (1, 'Ada'), (2, 'Bob');
    INSERT INTO Books VALUES (1, 1, 'One'), (2, 2, 'Two');";

const ROWS: &[Row<'_>] = &[
    (
        "Authors",
        "inserted",
        &[("Id", true, "3", "NULL"), ("Name", false, "'Cyd'", "NULL")],
    ),
    (
        "Books",
        "inserted",
        &[
            ("Id", true, "3", "NULL"),
            ("Author", false, "3", "NULL"),
            ("Title", false, "'Three'", "NULL"),
        ],
    ),
    (
        "Loans",
        "inserted",
        &[("Book", true, "3", "NULL"), ("Day", true, "'mon'", "NULL")],
    ),
    (
        "Books",
        "changed",
        &[
            ("Id", true, "1", "1"),
            ("Author", false, "3", "1"),
            ("Title", false, "'One'", "'One'"),
        ],
    ),
    (
        "Authors",
        "inserted",
        &[("Id", true, "4", "NULL"), ("Name", false, "'Dan'", "NULL")],
    ),
    (
        "Books",
        "inserted",
        &[
            ("Id", true, "4", "NULL"),
            ("Author", false, "4", "NULL"),
            ("Title", false, "'Four'", "NULL"),
        ],
    ),
    (
        "Books",
        "deleted",
        &[
            ("Id", true, "NULL", "2"),
            ("Author", false, "NULL", "2"),
            ("Title", false, "NULL", "'Two'"),
        ],
    ),
    (
        "Authors",
        "deleted",
        &[("Id", true, "NULL", "2"), ("Name", false, "NULL", "'Bob'")],
    ),
];

fn applied(night: &Night, means: Means) -> Outcome {
    let salvaged = night.salvaged();
    let chosen = salvaged.not_in(&night.file).expect("rows");
    apply(&salvaged, &chosen, &night.file, means).unwrap_or_else(|error| panic!("{error}"))
}

/// By the rows' numbers: what is skipped, and why.
fn skipped(outcome: &Outcome) -> Vec<(i64, &str)> {
    let rows = outcome.rows.iter();
    rows.filter_map(|row| match &row.fate {
        Fate::Skipped(why) => Some((row.row, why.as_str())),
        Fate::Applied | Fate::Already | Fate::Conflict(_) => None,
    })
    .collect()
}

#[test]
fn what_refers_to_a_skipped_row_is_skipped_with_it_however_long_the_chain() {
    let night = Night::new("wal", SCHEMA, ROWS);
    // SQLite has given the number away, and has changed what users have deleted.
    drop(execute(
        &night.file,
        "INSERT INTO Authors VALUES (3, 'Eve'); UPDATE Books SET Title = 'theirs' WHERE Id = 2",
    ));
    let none = applied(&night, Means::default());
    assert!(!none.committed && none.skipped() == 0, "{none:#?}");
    let means = Means {
        skip_conflicts: true,
        ..Means::default()
    };
    let outcome = applied(&night, means);
    assert!(outcome.committed, "{outcome:#?}");
    assert_eq!(
        skipped(&outcome),
        [
            (2, "refers to Authors [3], which was skipped"),
            (3, "refers to Books [3], which was skipped"),
            (4, "refers to Authors [3], which was skipped"),
            (8, "Books [2] refers to it, which was skipped"),
        ]
    );
    assert_eq!((outcome.applied(), outcome.conflicts()), (vec![5, 6], 2));
    assert_eq!(
        night.has("SELECT Id || Name FROM Authors ORDER BY Id"),
        "1Ada 2Bob 3Eve 4Dan"
    );
    assert_eq!(
        night.has("SELECT Id || '-' || Author || Title FROM Books ORDER BY Id"),
        "1-1One 2-2theirs 4-4Four"
    );
    assert_eq!(night.has("SELECT Book || Day FROM Loans"), "");
}

/// A row that is skipped has no new number, and what would point to that is skipped too.
#[test]
fn what_would_follow_to_a_new_number_is_skipped_with_it() {
    let night = Night::new("delete", SCHEMA, &ROWS[..3]);
    drop(execute(
        &night.file,
        "INSERT INTO Authors VALUES (3, 'Eve'), (9, 'Cyd')",
    ));
    let means = Means {
        skip_conflicts: true,
        new_ids: true,
        ..Means::default()
    };
    let outcome = applied(&night, means);
    assert!(outcome.committed, "{outcome:#?}");
    assert_eq!((outcome.conflicts(), outcome.applied()), (1, vec![]));
    assert_eq!(
        skipped(&outcome),
        [
            (2, "refers to Authors [3], which was skipped"),
            (3, "refers to Books [3], which was skipped"),
        ]
    );
}

/// A row that was changed on both sides is where it was: what refers to it comes in.
#[test]
fn a_row_that_is_still_there_keeps_nobody_from_referring_to_it() {
    let rows: [Row<'_>; 2] = [
        (
            "Authors",
            "changed",
            &[("Id", true, "1", "1"), ("Name", false, "'Lady'", "'Ada'")],
        ),
        (
            "Books",
            "inserted",
            &[
                ("Id", true, "3", "NULL"),
                ("Author", false, "1", "NULL"),
                ("Title", false, "'Three'", "NULL"),
            ],
        ),
    ];
    let night = Night::new("delete", SCHEMA, &rows);
    drop(execute(
        &night.file,
        "UPDATE Authors SET Name = 'theirs' WHERE Id = 1",
    ));
    let means = Means {
        skip_conflicts: true,
        ..Means::default()
    };
    let outcome = applied(&night, means);
    assert_eq!(
        (outcome.conflicts(), outcome.skipped(), outcome.applied()),
        (1, 0, vec![2]),
        "{outcome:#?}"
    );
}
