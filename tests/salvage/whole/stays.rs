//! What stays in the salvage file: rows with a conflict, what refers to them, and what SQLite would keep as another value.

use super::{Night, Row, SCHEMA};
use crate::support::sqlite as execute;
use cutover::salvage::apply::whole::Reason;

#[test]
fn what_has_a_conflict_stays_with_what_refers_to_it_and_the_others_come() {
    let night = Night::new(
        "wal",
        SCHEMA,
        &[
            (
                "Posts",
                "inserted",
                &[
                    ("Id", true, "4", "NULL"),
                    ("Slug", false, "'d'", "NULL"),
                    ("Body", false, "'ours'", "NULL"),
                ],
            ),
            (
                "Comments",
                "inserted",
                &[
                    ("Id", true, "9", "NULL"),
                    ("PostId", false, "4", "NULL"),
                    ("Body", false, "'on ours'", "NULL"),
                ],
            ),
            (
                "Posts",
                "inserted",
                &[
                    ("Id", true, "5", "NULL"),
                    ("Slug", false, "'e'", "NULL"),
                    ("Body", false, "'fine'", "NULL"),
                ],
            ),
            (
                "Comments",
                "inserted",
                &[
                    ("Id", true, "10", "NULL"),
                    ("PostId", false, "5", "NULL"),
                    ("Body", false, "'fine'", "NULL"),
                ],
            ),
            // SQLite has changed the one, has deleted the other, and refers to the third.
            (
                "Posts",
                "changed",
                &[
                    ("Id", true, "1", "1"),
                    ("Slug", false, "'a'", "'a'"),
                    ("Body", false, "'ours'", "'first'"),
                ],
            ),
            (
                "Comments",
                "changed",
                &[
                    ("Id", true, "3", "3"),
                    ("PostId", false, "1", "1"),
                    ("Body", false, "'ours'", "'z'"),
                ],
            ),
            (
                "Posts",
                "deleted",
                &[
                    ("Id", true, "NULL", "3"),
                    ("Slug", false, "NULL", "'c'"),
                    ("Body", false, "NULL", "'third'"),
                ],
            ),
            (
                "Posts",
                "inserted",
                &[
                    ("Id", true, "6", "NULL"),
                    ("Slug", false, "'f'", "NULL"),
                    ("Body", false, "'gone'", "NULL"),
                ],
            ),
        ],
    );
    drop(execute(
        &night.file,
        "PRAGMA foreign_keys = OFF; INSERT INTO Posts VALUES (4, 'theirs', 'theirs'); UPDATE Posts SET Body = 'theirs' WHERE Id = 1; DELETE FROM Comments WHERE Id = 3;
         INSERT INTO Comments VALUES (20, 3, 'theirs'); INSERT INTO Comments VALUES (21, 999, 'pointed nowhere before')",
    ));
    let whole = night.bring(night.writer(), false);
    assert_eq!(
        night.left(),
        [
            (1, Reason::Conflict),
            (2, Reason::Reference),
            (5, Reason::Conflict),
            (6, Reason::Conflict),
            (7, Reason::Reference)
        ]
    );
    assert_eq!(whole.brought, 3);
    let stays = night.stays();
    says!(stays[1].why, "refers to a row of Posts that stays");
    assert_eq!(stays[4].why, "a row of Comments in SQLite refers to it");
    // Those that stay are not noted, and all others are.
    let salvaged = night.salvaged();
    salvaged.note_brought(&night.file, "now").expect("noted");
    let not_in = salvaged.not_in(&night.file).expect("rows");
    assert_eq!(not_in, [1, 2, 5, 6, 7]);
    let counts = salvaged.brought(&night.file).expect("counts");
    assert_eq!(
        (counts["Posts"], counts["Comments"]),
        ([2, 0, 0], [1, 0, 0])
    );
    assert_eq!(
        night.has("SELECT Id || Body FROM Posts ORDER BY Id"),
        "1theirs 2second 3third 4theirs 5fine 6gone"
    );
    assert_eq!(
        night.has("SELECT Id || '' FROM Comments ORDER BY Id"),
        "1 2 10 20 21"
    );
}

#[test]
fn a_row_that_refers_to_one_that_stays_stays_however_long_the_chain() {
    let schema = "CREATE TABLE Tree (Id INTEGER PRIMARY KEY, Up INTEGER REFERENCES Tree (Id), Name TEXT); INSERT INTO Tree VALUES (1, NULL, 'root')";
    let row = |id: &'static str, up: &'static str| {
        [
            ("Id", true, id, "NULL"),
            ("Up", false, up, "NULL"),
            ("Name", false, "'n'", "NULL"),
        ]
    };
    let rows = [
        row("2", "1"),
        row("3", "2"),
        row("4", "3"),
        row("5", "4"),
        row("6", "1"),
    ];
    let rows: Vec<Row<'_>> = rows
        .iter()
        .map(|row| ("Tree", "inserted", &row[..]))
        .collect();
    let night = Night::new("delete", schema, &rows);
    // One that PostgreSQL has a value for that SQLite's column cannot hold.
    execute(
        &night.salvage,
        "UPDATE cutover_values SET problem = 'nearest', target = 'x' WHERE row = 2 AND name = 'Name'",
    );
    night.bring(night.writer(), false);
    assert_eq!(
        night.left(),
        [
            (2, Reason::NotExact),
            (3, Reason::Reference),
            (4, Reason::Reference)
        ]
    );
    assert_eq!(night.has("SELECT Id || '' FROM Tree"), "1 2 6");
    // Where the nearest is good enough, all of them come.
    let again = Night::new("delete", schema, &rows);
    execute(
        &again.salvage,
        "UPDATE cutover_values SET problem = 'nearest', target = 'x' WHERE row = 2 AND name = 'Name'",
    );
    assert_eq!(again.bring(again.writer(), true).left, 0);
    assert_eq!(again.has("SELECT Id || '' FROM Tree"), "1 2 3 4 5 6");
}

#[test]
fn a_value_that_sqlite_would_keep_as_another_stays() {
    let schema = "CREATE TABLE T (Id INTEGER PRIMARY KEY, Price DECIMAL(10, 2), Name TEXT, Any); INSERT INTO T VALUES (1, 1.5, 'n', x'00')";
    let row = |id: &'static str, price: &'static str, name: &'static str| {
        [
            ("Id", true, id, "NULL"),
            ("Price", false, price, "NULL"),
            ("Name", false, name, "NULL"),
            ("Any", false, "5.0", "NULL"),
        ]
    };
    // A whole number comes into such a column as an integer, from whoever writes it. A text is no number.
    let rows = [
        row("2", "12.0", "'two'"),
        row("3", "'7'", "'three'"),
        row("4", "7", "4"),
    ];
    let rows: Vec<Row<'_>> = rows.iter().map(|row| ("T", "inserted", &row[..])).collect();
    let night = Night::new("delete", schema, &rows);
    night.bring(night.writer(), false);
    assert_eq!(night.left(), [(2, Reason::Conflict), (3, Reason::Conflict)]);
    assert_eq!(
        night.stays()[0].why,
        "SQLite keeps Price as 7 where it should be '7'"
    );
    assert_eq!(
        night.has("SELECT Id || typeof(Price) || typeof(Any) FROM T"),
        "1realblob 2integerreal"
    );
}

#[test]
fn a_table_that_only_the_application_can_write_keeps_no_other_from_coming() {
    let schema = "CREATE TABLE Named (Id INTEGER PRIMARY KEY, Name TEXT); CREATE INDEX ByName ON Named (Name); CREATE TABLE T (Id INTEGER PRIMARY KEY);
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = 'CREATE TABLE Named (Id INTEGER PRIMARY KEY, Name TEXT COLLATE OWN)' WHERE name = 'Named'";
    let rows: [Row<'_>; 2] = [
        (
            "Named",
            "inserted",
            &[("Id", true, "1", "NULL"), ("Name", false, "'n'", "NULL")],
        ),
        ("T", "inserted", &[("Id", true, "1", "NULL")]),
    ];
    let night = Night::new("delete", schema, &rows);
    night.bring(night.writer(), false);
    assert_eq!(night.left(), [(1, Reason::Conflict)]);
    says!(night.stays()[0].why, "no such collation sequence");
    assert_eq!(night.has("SELECT Id || '' FROM T"), "1");
}

#[test]
fn of_a_table_without_a_key_all_rows_come_or_none() {
    let schema = "CREATE TABLE Notes (Text TEXT, N INTEGER); INSERT INTO Notes VALUES ('x', 1), ('x', 1), ('y', 2)";
    let rows: [Row<'_>; 3] = [
        (
            "Notes",
            "deleted",
            &[("Text", false, "NULL", "'y'"), ("N", false, "NULL", "2")],
        ),
        (
            "Notes",
            "inserted",
            &[("Text", false, "'y'", "NULL"), ("N", false, "3", "NULL")],
        ),
        (
            "Notes",
            "deleted",
            &[("Text", false, "NULL", "'x'"), ("N", false, "NULL", "1")],
        ),
    ];
    let night = Night::new("delete", schema, &rows);
    assert_eq!(night.bring(night.writer(), false).left, 0);
    assert_eq!(night.has("SELECT Text || N FROM Notes ORDER BY N"), "x1 y3");
    let night = Night::new("delete", schema, &rows);
    drop(execute(
        &night.file,
        "UPDATE Notes SET N = 9 WHERE Text = 'y'",
    ));
    night.bring(night.writer(), false);
    assert_eq!(
        night.left(),
        [
            (1, Reason::Conflict),
            (2, Reason::Reference),
            (3, Reason::Reference)
        ]
    );
    assert_eq!(
        night.has("SELECT Text || N FROM Notes ORDER BY N"),
        "x1 x1 y9"
    );
}
