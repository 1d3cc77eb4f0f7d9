//! Random nights over a small schema with foreign keys of every action: what changed since the older snapshot, brought by itself, leaves exactly
//! the rows that a whole import of the newer one does.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rusqlite::Connection;

use super::Night;
use crate::support::Seeds;

/// Checked at the end of a transaction, and without an action: what becomes of children is the application's to say.
const SOURCE: &str = "
CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE, boss INTEGER REFERENCES users DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE posts (id INTEGER PRIMARY KEY, user INTEGER NOT NULL REFERENCES users DEFERRABLE INITIALLY DEFERRED,
  author TEXT REFERENCES users (email) DEFERRABLE INITIALLY DEFERRED, body TEXT);
CREATE TABLE tags (name TEXT PRIMARY KEY, note TEXT) WITHOUT ROWID;
CREATE TABLE links (post INTEGER REFERENCES posts DEFERRABLE INITIALLY DEFERRED, tag TEXT REFERENCES tags DEFERRABLE INITIALLY DEFERRED,
  v REAL, PRIMARY KEY (post, tag));
CREATE TABLE log (at TEXT, what TEXT);
INSERT INTO users VALUES (1, 'u1', NULL), (2, 'u2', 1), (3, 'u3', 1), (4, NULL, 3);
INSERT INTO posts VALUES (1, 1, 'u1', 'a'), (2, 2, 'u1', 'b'), (3, 2, NULL, 'c'), (4, 3, 'u3', 'd');
INSERT INTO tags VALUES ('t1', 'x'), ('t2', NULL), ('t3', 'z');
INSERT INTO links VALUES (1, 't1', 1.5), (1, 't2', NULL), (2, 't1', 0.0), (4, 't3', -0.0);
INSERT INTO log VALUES ('1', 'began');
";

const TARGET: &str = "
CREATE TABLE users (id bigint PRIMARY KEY, email text UNIQUE, boss bigint REFERENCES users ON DELETE SET NULL);
CREATE TABLE posts (id bigserial PRIMARY KEY, \"user\" bigint NOT NULL REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE,
  author text REFERENCES users (email) ON DELETE SET NULL ON UPDATE CASCADE, body text);
CREATE TABLE tags (name text PRIMARY KEY, note text);
CREATE TABLE links (post bigint REFERENCES posts ON DELETE CASCADE, tag text REFERENCES tags ON DELETE RESTRICT ON UPDATE RESTRICT,
  v double precision, PRIMARY KEY (post, tag));
CREATE TABLE log (at text, what text);
";

/// What an application does in one transaction; `$a` to `$d` are small numbers. What breaks a rule is rolled back.
const DEEDS: &[&str] = &[
    "INSERT INTO users VALUES ($a + 4, 'u' || $b, $c)",
    "INSERT INTO posts VALUES ($a * 2, $b, (SELECT email FROM users WHERE id = $c), 'new $d')",
    "INSERT INTO tags VALUES ('t' || $a, 'n$b')",
    "INSERT INTO links VALUES ($a, 't' || $b, $c / 4.0)",
    "INSERT INTO log VALUES ('$a', 'w$b')",
    "DELETE FROM log WHERE at = '$a'",
    "UPDATE posts SET body = 'b$a' WHERE id = $b",
    "UPDATE posts SET user = $a, author = NULL WHERE id = $b",
    "UPDATE users SET boss = $a WHERE id = $b",
    "UPDATE users SET boss = NULL WHERE id = $b",
    "UPDATE tags SET note = 'n$a' WHERE name = 't' || $b",
    "INSERT OR REPLACE INTO tags VALUES ('t' || $a, 'r$b')",
    "INSERT OR REPLACE INTO users SELECT $a, 'u' || $b, NULL",
    "UPDATE links SET v = $a WHERE tag = 't' || $b",
    "DELETE FROM links WHERE post = $a",
    "DELETE FROM links WHERE tag = 't' || $a; DELETE FROM tags WHERE name = 't' || $a",
    // A parent goes with its children, or without them.
    "DELETE FROM links WHERE post = $a; DELETE FROM posts WHERE id = $a",
    "UPDATE posts SET user = $b WHERE user = $a; UPDATE posts SET author = NULL WHERE author = (SELECT email FROM users WHERE id = $a);
     UPDATE users SET boss = NULL WHERE boss = $a; DELETE FROM users WHERE id = $a",
    // A key changes, with those that refer to it.
    "UPDATE users SET id = $a + 20 WHERE id = $b; UPDATE posts SET user = $a + 20 WHERE user = $b; UPDATE users SET boss = $a + 20 WHERE boss = $b",
    "UPDATE tags SET name = 't' || ($a + 20) WHERE name = 't' || $b; UPDATE links SET tag = 't' || ($a + 20) WHERE tag = 't' || $b",
    "UPDATE posts SET author = 'm$a' WHERE author = (SELECT email FROM users WHERE id = $b); UPDATE users SET email = 'm$a' WHERE id = $b",
    // A unique value moves, and those that refer to it do not change.
    "CREATE TEMP TABLE two AS SELECT (SELECT email FROM users WHERE id = $a) AS one, (SELECT email FROM users WHERE id = $b) AS other;
     UPDATE users SET email = 'between' WHERE id = $a; UPDATE users SET email = (SELECT one FROM two) WHERE id = $b;
     UPDATE users SET email = (SELECT other FROM two) WHERE id = $a; DROP TABLE two",
    "UPDATE posts SET user = $a + 30 WHERE user = $b; UPDATE users SET boss = $a + 30 WHERE boss = $b;
     CREATE TEMP TABLE one AS SELECT email FROM users WHERE id = $b; DELETE FROM users WHERE id = $b;
     INSERT INTO users SELECT $a + 30, email, NULL FROM one; DROP TABLE one",
];

/// So many transactions, of which some break a rule.
fn live(connection: &Connection, random: &mut StdRng) {
    connection
        .execute_batch("PRAGMA foreign_keys = ON")
        .expect("checked keys");
    for _ in 0..random.random_range(1..40) {
        let mut deed = (*DEEDS.choose(random).expect("a deed")).to_owned();
        for place in ["$a", "$b", "$c", "$d"] {
            deed = deed.replace(place, &random.random_range(1..7).to_string());
        }
        let done = connection.execute_batch(&format!("BEGIN; {deed}; COMMIT"));
        if done.is_err() && !connection.is_autocommit() {
            connection.execute_batch("ROLLBACK").expect("as before");
        }
    }
    if random.random_bool(0.2) {
        connection.execute_batch("VACUUM").expect("a vacuum");
    }
}

#[tokio::test]
async fn what_changed_leaves_what_a_whole_import_does() {
    let mut seeds = Seeds::of("since", 6, 1_000);
    for seed in &mut seeds {
        println!("CUTOVER_SEED={seed}");
        let random = &mut StdRng::seed_from_u64(seed);
        let night = Night::new(SOURCE, TARGET).await;
        let connection = Connection::open(&night.pair.file).expect("the file");
        live(&connection, random);
        drop(connection);
        night.is_brought().await;
    }
    println!("{} nights", seeds.played());
}

impl Night {
    /// As [`Night::brought`], where there may be nothing to bring.
    async fn is_brought(&self) {
        let copied = self.since().await.expect("what changed");
        assert!(copied.problems.is_empty(), "{:?}", copied.problems);
        self.is_whole().await;
    }
}
