//! A row that has a conflict is shown with what the backup had, what PostgreSQL had and what SQLite has now, so that a person can decide.

use cutover::salvage::apply::{Means, Now, Outcome, Side, apply};

use super::whole::{Night, Row};
use crate::support::sqlite as execute;

const SCHEMA: &str = "
    CREATE TABLE Tools (Id INTEGER PRIMARY KEY, Slug TEXT UNIQUE, Title TEXT, Stock INTEGER);
    INSERT INTO Tools VALUES (1, 'a', 'One', 1), (2, 'b', 'Two', 2), (3, 'c', 'Three', 3), (4, 'd', 'Four', 4), (5, 'e', 'Five', 5);";

const ROWS: &[Row<'_>] = &[
    (
        "Tools",
        "changed",
        &[
            ("Id", true, "1", "1"),
            ("Slug", false, "'a'", "'a'"),
            ("Title", false, "'Uno'", "'One'"),
            ("Stock", false, "1", "1"),
        ],
    ),
    (
        "Tools",
        "deleted",
        &[
            ("Id", true, "NULL", "2"),
            ("Slug", false, "NULL", "'b'"),
            ("Title", false, "NULL", "'Two'"),
            ("Stock", false, "NULL", "2"),
        ],
    ),
    // SQLite has given its number away.
    (
        "Tools",
        "inserted",
        &[
            ("Id", true, "6", "NULL"),
            ("Slug", false, "'f'", "NULL"),
            ("Title", false, "'Six'", "NULL"),
            ("Stock", false, "6", "NULL"),
        ],
    ),
    // SQLite has given its slug away.
    (
        "Tools",
        "changed",
        &[
            ("Id", true, "3", "3"),
            ("Slug", false, "'taken'", "'c'"),
            ("Title", false, "'Three'", "'Three'"),
            ("Stock", false, "3", "3"),
        ],
    ),
    // SQLite does not have it any more.
    (
        "Tools",
        "changed",
        &[
            ("Id", true, "4", "4"),
            ("Slug", false, "'d'", "'d'"),
            ("Title", false, "'Four'", "'Four'"),
            ("Stock", false, "40", "4"),
        ],
    ),
    // Nothing is in the way of this one.
    (
        "Tools",
        "changed",
        &[
            ("Id", true, "5", "5"),
            ("Slug", false, "'e'", "'e'"),
            ("Title", false, "'Cinco'", "'Five'"),
            ("Stock", false, "5", "5"),
        ],
    ),
];

fn told(sides: &[Side]) -> Vec<String> {
    sides.iter().map(Side::line).collect()
}

fn applied(night: &Night, means: Means) -> Outcome {
    let salvaged = night.salvaged();
    let chosen = salvaged.not_in(&night.file).expect("rows");
    apply(&salvaged, &chosen, &night.file, means).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_conflict_shows_what_all_three_sides_have() {
    let night = Night::new("delete", SCHEMA, ROWS);
    drop(execute(
        &night.file,
        "UPDATE Tools SET Stock = 0 WHERE Id = 1; UPDATE Tools SET Title = 'Zwei' WHERE Id = 2; DELETE FROM Tools WHERE Id = 4;
         INSERT INTO Tools VALUES (6, 'theirs', 'Theirs', 6), (7, 'taken', 'Seven', 7)",
    ));
    let expected = [
        (
            1,
            vec![
                "Tools [1] Title: was 'One' / PostgreSQL 'Uno' / SQLite now 'One'",
                "Tools [1] Stock: was 1 / PostgreSQL 1 / SQLite now 0",
            ],
        ),
        (
            2,
            vec!["Tools [2] Title: was 'Two' / PostgreSQL no row / SQLite now 'Zwei'"],
        ),
        (
            3,
            vec![
                "Tools [6] Slug: was no row / PostgreSQL 'f' / SQLite now 'theirs'",
                "Tools [6] Title: was no row / PostgreSQL 'Six' / SQLite now 'Theirs'",
            ],
        ),
        // The row that is in the way, with its own key.
        (
            4,
            vec![
                "Tools [7] Id: was 3 / PostgreSQL 3 / SQLite now 7",
                "Tools [7] Slug: was 'c' / PostgreSQL 'taken' / SQLite now 'taken'",
                "Tools [7] Title: was 'Three' / PostgreSQL 'Three' / SQLite now 'Seven'",
                "Tools [7] Stock: was 3 / PostgreSQL 3 / SQLite now 7",
            ],
        ),
        (
            5,
            vec!["Tools [4] Stock: was 4 / PostgreSQL 40 / SQLite now no row"],
        ),
        (6, vec![]),
    ];
    // Looked at alone, and as it is asked for: the same.
    let (now, salvaged) = (Now::of(&night.file).expect("SQLite"), night.salvaged());
    let outcome = applied(&night, Means::default());
    assert_eq!((outcome.committed, outcome.conflicts()), (false, 5));
    for (row, sides) in &expected {
        let alone = now.sides(&salvaged.row(*row).expect("a row"));
        assert_eq!(told(&alone.expect("sides")), *sides, "{row}");
        let brought = outcome.rows.iter().find(|brought| brought.row == *row);
        let brought = brought.expect("it was chosen");
        assert_eq!(told(&brought.sides), *sides, "{row}: {brought:?}");
    }
    drop(now);
    // With the others brought in, too.
    let means = Means {
        skip_conflicts: true,
        ..Means::default()
    };
    let outcome = applied(&night, means);
    assert_eq!((outcome.committed, outcome.applied()), (true, vec![6]));
    for (row, sides) in &expected {
        let brought = outcome.rows.iter().find(|brought| brought.row == *row);
        let brought = brought.expect("it was chosen");
        assert_eq!(told(&brought.sides), *sides, "{row}: {brought:?}");
    }
}

#[test]
fn what_is_shown_of_a_value_is_cut_and_harmless() {
    let long = "'".to_owned() + &"x".repeat(500) + "'";
    let row: [Row<'_>; 1] = [(
        "Tools",
        "changed",
        &[
            ("Id", true, "1", "1"),
            ("Title", false, long.as_str(), "'One'"),
        ],
    )];
    let night = Night::new("delete", SCHEMA, &row);
    drop(execute(
        &night.file,
        "UPDATE Tools SET Title = char(27) || '[31m' WHERE Id = 1",
    ));
    let outcome = applied(&night, Means::default());
    let lines = told(&outcome.rows[0].sides);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].chars().count() < 200, "{lines:?}");
    says!(lines[0], "xxx…' / SQLite now '\\u{1b}[31m'");
}
