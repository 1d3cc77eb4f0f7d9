//! What changed since an older snapshot, brought in one transaction: PostgreSQL holds afterwards what a whole import of the newer one brings,
//! rows that did not change were not touched, and a refusal or a death leaves everything as it was. Random nights are in `random`.

mod random;
mod refused;

use std::path::PathBuf;

use cutover::runbook::transfer::Transfer;
use cutover::transfer::Error;
use cutover::transfer::copy::Copied;
use cutover::transfer::delta::{Brought, Since, copy_since};
use tokio_util::sync::CancellationToken;

use super::Pair;
use super::loader::section;
use crate::support::{cutover, sqlite};

/// A pair whose older snapshot is imported, and the same target empty for a whole import to compare with.
struct Night {
    pair: Pair,
    target: String,
    older: PathBuf,
    transfer: Transfer,
}

impl Night {
    async fn new(source: &str, target: &str) -> Self {
        Self::with(source, target, "target_rows: refuse").await
    }

    /// With a transfer section.
    async fn with(source: &str, target: &str, yaml: &str) -> Self {
        let pair = Pair::new(source, target).await;
        let transfer = section(yaml);
        let file = pair.file.with_file_name("transfer.yaml");
        std::fs::write(file, yaml).expect("a section");
        pair.copy(&transfer).await.expect("the older import");
        let older = pair.file.with_file_name("older.db");
        std::fs::copy(&pair.file, &older).expect("the older snapshot");
        Self {
            pair,
            target: target.to_owned(),
            older,
            transfer,
        }
    }

    /// The application goes on.
    fn goes_on(&self, sql: &str) {
        drop(sqlite(&self.pair.file, sql));
    }

    async fn since(&self) -> Result<Copied, Error> {
        self.since_with(&self.transfer).await
    }

    async fn since_with(&self, transfer: &Transfer) -> Result<Copied, Error> {
        let since = Since {
            older: &self.older,
            newer: &self.pair.file,
            schema: "public",
            transfer,
        };
        let cancel = CancellationToken::new();
        copy_since(since, &self.pair.endpoint(), &|_| {}, &cancel).await
    }

    /// Brings what changed, and holds it against a whole import of the newer file.
    async fn brought(&self) -> Brought {
        let copied = self.since().await.expect("what changed");
        assert!(copied.problems.is_empty(), "{:?}", copied.problems);
        assert!(
            copied.account.iter().all(|table| table.adds_up()),
            "{:?}",
            copied.account
        );
        self.is_whole().await;
        copied.since.expect("what was brought")
    }

    /// As a whole import of the newer file into an empty target, by its rows and by the checker.
    async fn is_whole(&self) {
        let whole = Pair::new("SELECT 1", &self.target).await;
        let whole = Pair {
            file: self.pair.file.clone(),
            ..whole
        };
        let copied = whole.copy(&self.transfer).await.expect("a whole import");
        assert_eq!(dump(&self.pair).await, dump(&whole).await);
        let policies = "SELECT coalesce(string_agg(source_table || ' ' || policy || ' ' || uses, E'\\n' ORDER BY source_table, policy), '')
                        FROM cutover.policy_use";
        assert_eq!(
            self.pair.text(policies).await,
            whole.text(policies).await,
            "{:?}",
            copied.policies
        );
        self.verified();
    }

    fn verified(&self) {
        let mut command = std::process::Command::new(cutover());
        command.arg("verify").arg("--from").arg(&self.pair.file);
        command.args(["--to", &self.pair.database.url, "--transfer"]);
        command.arg(self.pair.file.with_file_name("transfer.yaml"));
        let output = command.output().expect("the binary");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}\n{errors}");
    }

    /// The target is as it was, and so is its record.
    async fn is_untouched(&self, before: &str) {
        assert_eq!(dump(&self.pair).await, before);
        let away = "SELECT count(*)::text FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND (NOT convalidated OR condeferrable)";
        self.pair.holds(away, "0").await;
    }
}

/// Every row of every table as text, and the foreign keys as they are defined.
async fn dump(pair: &Pair) -> String {
    let client = pair.client().await;
    let tables = "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
                  AND NOT c.relispartition ORDER BY 1";
    let mut all = String::new();
    for row in client.query(tables, &[]).await.expect("tables") {
        let table: String = row.get(0);
        let sql = format!(
            "SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\"), '') FROM \"{table}\" AS t"
        );
        let rows: String = client.query_one(&sql, &[]).await.expect("rows").get(0);
        all.push_str(&format!("{table}:\n{rows}\n"));
    }
    let keys = "SELECT coalesce(string_agg(conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid), E'\\n' ORDER BY conrelid::regclass::text, conname), '')
                FROM pg_constraint WHERE connamespace = 'public'::regnamespace";
    let keys: String = client.query_one(keys, &[]).await.expect("keys").get(0);
    all + &keys
}

const FAMILY: (&str, &str) = (
    "CREATE TABLE parents (id INTEGER PRIMARY KEY, slug TEXT UNIQUE, name TEXT);
     CREATE TABLE taken (id INTEGER PRIMARY KEY, parent INTEGER, v TEXT);
     CREATE TABLE nulled (id INTEGER PRIMARY KEY, parent INTEGER, v TEXT);
     CREATE TABLE kept (id INTEGER PRIMARY KEY, parent INTEGER, v TEXT);
     CREATE TABLE sluggish (id INTEGER PRIMARY KEY, slug TEXT, v TEXT);
     INSERT INTO parents VALUES (1, 'a', 'one'), (2, 'b', 'two'), (3, 'c', 'three');
     INSERT INTO taken VALUES (1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z');
     INSERT INTO nulled SELECT * FROM taken; INSERT INTO kept SELECT * FROM taken;
     INSERT INTO sluggish VALUES (1, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'z');",
    "CREATE TABLE parents (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, slug text UNIQUE, name text);
     CREATE TABLE taken (id bigint PRIMARY KEY, parent bigint REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE, v text);
     CREATE TABLE nulled (id bigint PRIMARY KEY, parent bigint REFERENCES parents ON DELETE SET NULL ON UPDATE SET NULL, v text);
     CREATE TABLE kept (id bigint PRIMARY KEY, parent bigint REFERENCES parents ON DELETE RESTRICT ON UPDATE RESTRICT, v text);
     CREATE TABLE sluggish (id bigint PRIMARY KEY, slug text REFERENCES parents (slug) ON DELETE CASCADE ON UPDATE CASCADE, v text);",
);

/// Which transactions wrote the children.
const WRITERS: &str = "SELECT string_agg(w, ' ') FROM (SELECT 't' || id || xmin::text AS w FROM taken UNION ALL SELECT 'n' || id || xmin::text FROM nulled
    UNION ALL SELECT 'k' || id || xmin::text FROM kept UNION ALL SELECT 's' || id || xmin::text FROM sluggish ORDER BY 1) AS u";

#[tokio::test]
async fn children_that_did_not_change_stay_where_their_parent_does() {
    let night = Night::new(FAMILY.0, FAMILY.1).await;
    let before = night.pair.text(WRITERS).await;
    night.goes_on(
        "UPDATE parents SET name = name || '!'; INSERT OR REPLACE INTO parents VALUES (2, 'b', 'again')",
    );
    let brought = night.brought().await;
    assert_eq!(
        (brought.inserted, brought.updated, brought.deleted),
        (0, 3, 0)
    );
    assert_eq!(night.pair.text(WRITERS).await, before);
}

#[tokio::test]
async fn two_parents_exchange_what_children_refer_to_and_no_child_is_written() {
    let night = Night::new(FAMILY.0, FAMILY.1).await;
    let before = night.pair.text(WRITERS).await;
    night.goes_on(
        "UPDATE parents SET slug = 'tmp' WHERE id = 1; UPDATE parents SET slug = 'a' WHERE id = 2; UPDATE parents SET slug = 'b' WHERE id = 1",
    );
    night.brought().await;
    assert_eq!(night.pair.text(WRITERS).await, before);
}

#[tokio::test]
async fn a_value_that_moves_to_a_new_parent_takes_no_child_along() {
    let night = Night::new(FAMILY.0, FAMILY.1).await;
    night.goes_on(
        "DELETE FROM parents WHERE id = 1; INSERT INTO parents VALUES (9, 'a', 'the heir');
         UPDATE taken SET parent = 9 WHERE parent = 1; UPDATE nulled SET parent = 9 WHERE parent = 1; UPDATE kept SET parent = 2 WHERE parent = 1",
    );
    let brought = night.brought().await;
    assert_eq!(
        (brought.inserted, brought.updated, brought.deleted),
        (1, 3, 1)
    );
    night
        .pair
        .holds("SELECT v FROM sluggish WHERE slug = 'a'", "x")
        .await;
}

#[tokio::test]
async fn rows_come_change_and_go_in_every_table() {
    let night = Night::new(FAMILY.0, FAMILY.1).await;
    night.goes_on(
        "DELETE FROM taken WHERE parent = 3; DELETE FROM nulled WHERE parent = 3; DELETE FROM kept WHERE parent = 3;
         DELETE FROM sluggish WHERE slug = 'c'; DELETE FROM parents WHERE id = 3;
         INSERT INTO parents VALUES (3000, 'n', 'new'), (4, 'c', 'a slug again');
         INSERT INTO taken VALUES (30, 3000, 'n'); INSERT INTO nulled VALUES (30, NULL, 'n'); INSERT INTO kept VALUES (30, 4, 'n');
         INSERT INTO sluggish VALUES (30, 'n', 'n'), (31, 'c', 'n');
         UPDATE taken SET v = 'changed', parent = 2 WHERE id = 1; UPDATE nulled SET parent = NULL WHERE id = 1;
         UPDATE kept SET id = 77 WHERE id = 2; UPDATE sluggish SET slug = NULL WHERE id = 1",
    );
    let brought = night.brought().await;
    assert_eq!(brought.tables, 5);
    let next = "INSERT INTO parents (slug) VALUES ('next')";
    night.pair.execute(next).await;
    let id = "SELECT id::text FROM parents WHERE slug = 'next'";
    night.pair.holds(id, "3001").await;
}

#[tokio::test]
async fn a_tree_whose_node_goes_keeps_the_branches_that_moved() {
    let source = "CREATE TABLE nodes (id INTEGER PRIMARY KEY, above INTEGER, v TEXT);
         INSERT INTO nodes VALUES (1, NULL, 'root'), (2, 1, 'goes'), (3, 2, 'moves'), (4, 3, 'stays'), (5, 2, 'goes too'), (6, 5, 'goes too')";
    let target = "CREATE TABLE nodes (id bigint PRIMARY KEY, above bigint REFERENCES nodes ON DELETE CASCADE, v text)";
    let night = Night::new(source, target).await;
    night.goes_on(
        "UPDATE nodes SET above = 1 WHERE id = 3; DELETE FROM nodes WHERE id IN (2, 5, 6); INSERT INTO nodes VALUES (9, 10, 'n'), (10, 9, 'n')",
    );
    night.brought().await;
    let key = "SELECT count(*)::text FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND convalidated AND NOT condeferrable";
    night.pair.holds(key, "1").await;
}

#[tokio::test]
async fn a_row_that_refers_to_a_value_that_moved_on_stays_with_the_value() {
    let source = "CREATE TABLE nodes (id INTEGER PRIMARY KEY, code TEXT UNIQUE, above TEXT);
         INSERT INTO nodes VALUES (1, 'x', NULL), (2, 'z', NULL), (3, 'c', NULL)";
    let target = "CREATE TABLE nodes (id bigint PRIMARY KEY, code text UNIQUE, above text REFERENCES nodes (code) ON UPDATE CASCADE)";
    let night = Night::new(source, target).await;
    night.goes_on(
        "UPDATE nodes SET code = 'y' WHERE id = 1; UPDATE nodes SET code = 'x' WHERE id = 2; UPDATE nodes SET above = 'x' WHERE id = 3",
    );
    night.brought().await;
}

#[tokio::test]
async fn tables_that_refer_to_each_other_change_together() {
    let source = "CREATE TABLE teams (id INTEGER PRIMARY KEY, lead INTEGER); CREATE TABLE people (id INTEGER PRIMARY KEY, team INTEGER);
         INSERT INTO teams VALUES (1, 1), (2, 3); INSERT INTO people VALUES (1, 1), (2, 1), (3, 2)";
    let target = "CREATE TABLE teams (id bigint PRIMARY KEY, lead bigint); CREATE TABLE people (id bigint PRIMARY KEY, team bigint NOT NULL);
         ALTER TABLE teams ADD CONSTRAINT led FOREIGN KEY (lead) REFERENCES people ON DELETE SET NULL;
         ALTER TABLE people ADD CONSTRAINT of_team FOREIGN KEY (team) REFERENCES teams ON DELETE CASCADE";
    let night = Night::new(source, target).await;
    night.goes_on(
        "DELETE FROM teams WHERE id = 1; DELETE FROM people WHERE id = 1; UPDATE people SET team = 2 WHERE id = 2;
         UPDATE teams SET lead = 2 WHERE id = 2; INSERT INTO teams VALUES (7, 70); INSERT INTO people VALUES (70, 7)",
    );
    night.brought().await;
}

#[tokio::test]
async fn two_spellings_of_one_key_are_one_row_to_postgresql() {
    let source = "CREATE TABLE sizes (size TEXT PRIMARY KEY, v TEXT); CREATE TABLE shoes (id INTEGER PRIMARY KEY, size TEXT);
         INSERT INTO sizes VALUES ('41', 'a'), ('42.50', 'b'); INSERT INTO shoes VALUES (1, '41'), (2, '42.5')";
    let target = "CREATE TABLE sizes (size numeric PRIMARY KEY, v text);
         CREATE TABLE shoes (id bigint PRIMARY KEY, size numeric REFERENCES sizes ON DELETE CASCADE ON UPDATE CASCADE)";
    let night = Night::new(source, target).await;
    night.goes_on("UPDATE sizes SET size = '41.0', v = 'c' WHERE size = '41'");
    let brought = night.brought().await;
    assert_eq!(
        (brought.inserted, brought.updated, brought.deleted),
        (0, 1, 0)
    );
    night
        .pair
        .holds("SELECT size::text FROM shoes WHERE id = 1", "41")
        .await;
}

#[tokio::test]
async fn keys_of_every_kind_are_looked_up() {
    let source = "CREATE TABLE pairs (a TEXT, b BLOB, v REAL, PRIMARY KEY (b, a)) WITHOUT ROWID;
         CREATE TABLE named (name TEXT PRIMARY KEY, at TEXT); CREATE TABLE always (id INTEGER PRIMARY KEY, n INTEGER, u TEXT UNIQUE);
         INSERT INTO pairs VALUES ('x', x'00ff', 1.5), ('x', x'01', 2), ('y', x'', -0.0);
         INSERT INTO named VALUES ('Ann', '2026-01-02 03:04:05'), ('bob', NULL); INSERT INTO always VALUES (1, 10, 'a'), (2, 20, 'b')";
    let target = "CREATE TABLE pairs (a text, b bytea, v double precision, PRIMARY KEY (b, a)); CREATE TABLE named (name text PRIMARY KEY, at timestamp);
         CREATE TABLE always (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n bigint, u text UNIQUE)";
    let night = Night::new(source, target).await;
    night.goes_on(
        "UPDATE pairs SET v = 0.0 WHERE a = 'y'; DELETE FROM pairs WHERE b = x'01'; INSERT INTO pairs VALUES ('z', x'01', 9);
         UPDATE named SET name = 'ANN' WHERE name = 'Ann'; UPDATE named SET at = '2026-05-06 07:08:09' WHERE name = 'bob';
         UPDATE always SET n = n + 1; UPDATE always SET u = 'c' WHERE id = 1; INSERT INTO always VALUES (3, 30, 'a')",
    );
    night.brought().await;
}

#[tokio::test]
async fn a_table_that_cannot_go_by_its_rows_is_brought_whole() {
    let source = "CREATE TABLE log (at TEXT, what TEXT); CREATE TABLE parts (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE still (id INTEGER PRIMARY KEY);
         INSERT INTO log VALUES ('1', 'a'), ('1', 'a'), ('2', 'b'); INSERT INTO parts VALUES (1, 'a'), (200, 'b'); INSERT INTO still VALUES (1)";
    let target = "CREATE TABLE log (at text, what text); CREATE TABLE still (id bigint PRIMARY KEY);
         CREATE TABLE parts (id bigint PRIMARY KEY, v text) PARTITION BY RANGE (id);
         CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100); CREATE TABLE parts_high PARTITION OF parts DEFAULT";
    let night = Night::new(source, target).await;
    night.goes_on(
        "DELETE FROM log WHERE at = '2'; INSERT INTO log VALUES ('1', 'a'); UPDATE parts SET v = 'c' WHERE id = 1",
    );
    let brought = night.brought().await;
    let anew: Vec<&str> = brought
        .anew
        .iter()
        .map(|(table, _)| table.as_str())
        .collect();
    assert_eq!((anew, brought.tables), (vec!["log", "parts"], 0));
}

#[tokio::test]
async fn triggers_rest_policies_are_counted_and_a_second_call_does_nothing() {
    let source = "CREATE TABLE t (id INTEGER PRIMARY KEY, price REAL, v TEXT); INSERT INTO t VALUES (1, 1.111, 'a'), (2, 2.222, 'b'), (3, 3, 'c')";
    let target = "CREATE TABLE t (id bigserial PRIMARY KEY, price numeric(8, 2), v text);
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v = 'touched'; RETURN NEW; END $$;
         CREATE TRIGGER touched BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch()";
    let policy = "columns: { t.price: { real: shortest, scale: round } }";
    let night = Night::with(source, target, policy).await;
    night.goes_on("UPDATE t SET price = 4.444 WHERE id = 3; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (9, 5.555, 'n')");
    night.brought().await;
    let enabled = "SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'touched'";
    night.pair.holds(enabled, "O").await;
    let again = night.since().await.expect("nothing to do");
    assert!(again.was_done, "{again:?}");
    let by_hand = night.pair.copy(&night.transfer).await;
    assert!(by_hand.expect("it had ended").was_done);
}

// The command waits for the import of this process to be gone, whose connection is closed by another thread.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_brings_round_after_round_and_says_what() {
    let night = Night::new(FAMILY.0, FAMILY.1).await;
    let run = |older: &PathBuf, json: bool| {
        let mut command = std::process::Command::new(cutover());
        command.arg("copy").arg("--from").arg(&night.pair.file);
        command.arg("--since").arg(older);
        command.args(["--to", &night.pair.database.url]);
        command.args(json.then_some("--json"));
        let output = command.output().expect("the binary");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    night.goes_on("UPDATE parents SET name = 'first round'");
    let said = run(&night.older, false);
    says!(said, "0 rows inserted, 3 updated, 0 deleted in 1 tables");
    let first = night.pair.file.with_file_name("first.db");
    std::fs::copy(&night.pair.file, &first).expect("a snapshot");
    night.goes_on("UPDATE parents SET name = 'second round' WHERE id = 2");
    let said = run(&first, true);
    let copied: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(copied["since"]["updated"], 1);
    assert_eq!(
        copied["rows"], 15,
        "all that the target holds, as after a whole import"
    );
    night.is_whole().await;
}
