//! Two snapshots of a file that an application has written to in between, by a seed: the same seed makes the same files, byte by byte but for
//! what SQLite itself draws (none of it is asked for here).
//!
//! Tables and how their rows look are in `tables`, values in `values`, what the application does in between in `steps`.

mod steps;
mod tables;
mod values;

use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rusqlite::Connection;

use tables::Made;

/// How the application has its file.
#[derive(Debug, Clone)]
pub struct Manner {
    pub page_bytes: u32,
    pub encoding: &'static str,
    pub auto_vacuum: u8,
    pub secure_delete: bool,
    pub journal: &'static str,
    /// It reaches its file by ATTACH.
    pub attached: bool,
}

/// How a snapshot is taken: all three give a file whose pages are numbered as the application's, but for the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Copied,
    BackedUp,
    VacuumedInto,
}

/// A file while an application works on it.
pub struct World {
    connection: Connection,
    path: PathBuf,
    manner: Manner,
    rng: StdRng,
    made: Vec<Made>,
    /// How many objects were made, so that each has a name of its own.
    named: u32,
}

/// Two closed files in this folder, the older and the newer one: no `-wal`, no journal beside them.
pub fn snapshots(seed: u64, folder: &Path) -> (PathBuf, PathBuf) {
    let mut rng = StdRng::seed_from_u64(seed);
    let manner = Manner::of(&mut rng);
    let mut world = World::new(&folder.join("app.db"), manner, rng);
    let rows = if world.rng.random_bool(0.1) { 300 } else { 30 };
    world.begin_with(rows);
    let how = world.way_to_take();
    let older = folder.join("older.db");
    world.snapshot(&older, how);
    let steps = match world.rng.random_range(0..20) {
        0 => 0,
        1..8 => world.rng.random_range(1..4),
        8..19 => world.rng.random_range(4..40),
        _ => 120,
    };
    world.play(steps);
    let how = match world.rng.random_bool(0.1) {
        true => Taken::VacuumedInto,
        false => how,
    };
    let newer = folder.join("newer.db");
    world.snapshot(&newer, how);
    (older, newer)
}

impl Manner {
    fn of(rng: &mut StdRng) -> Self {
        let sizes = [512, 1024, 2048, 4096, 4096, 8192, 16_384, 32_768, 65_536];
        let encodings = ["UTF-8", "UTF-8", "UTF-8", "UTF-16le", "UTF-16be"];
        let journals = ["DELETE", "WAL", "WAL", "TRUNCATE", "PERSIST", "MEMORY"];
        Self {
            page_bytes: *sizes.choose(rng).unwrap(),
            encoding: *encodings.choose(rng).unwrap(),
            auto_vacuum: rng.random_range(0..3),
            secure_delete: rng.random(),
            journal: *journals.choose(rng).unwrap(),
            attached: rng.random_bool(0.15),
        }
    }
}

impl World {
    fn new(path: &Path, manner: Manner, rng: StdRng) -> Self {
        let Manner {
            page_bytes,
            encoding,
            auto_vacuum,
            journal,
            ..
        } = &manner;
        let first = Connection::open(path).unwrap();
        let settings = format!(
            "PRAGMA page_size = {page_bytes}; PRAGMA encoding = '{encoding}'; PRAGMA auto_vacuum = {auto_vacuum}; PRAGMA synchronous = OFF;
             CREATE TABLE first (a); PRAGMA journal_mode = {journal};"
        );
        first.execute_batch(&settings).unwrap();
        drop(first);
        let connection = Self::connect(path, &manner);
        Self {
            connection,
            path: path.to_owned(),
            manner,
            rng,
            made: Vec::new(),
            named: 0,
        }
    }

    fn connect(path: &Path, manner: &Manner) -> Connection {
        let connection = if manner.attached {
            let connection = Connection::open_in_memory().unwrap();
            let encoding = manner.encoding;
            connection
                .execute_batch(&format!("PRAGMA encoding = '{encoding}'"))
                .unwrap();
            let path = path.to_str().unwrap();
            connection.execute("ATTACH ?1 AS app", [path]).unwrap();
            connection
        } else {
            Connection::open(path).unwrap()
        };
        let schema = manner.schema();
        let secure = u8::from(manner.secure_delete);
        let settings = format!(
            "PRAGMA {schema}.synchronous = OFF; PRAGMA {schema}.secure_delete = {secure}; PRAGMA foreign_keys = OFF;
             PRAGMA {schema}.journal_mode = {};",
            manner.journal
        );
        connection.execute_batch(&settings).unwrap();
        connection
    }

    /// Which way this seed takes its snapshots by.
    fn way_to_take(&mut self) -> Taken {
        match self.rng.random_range(0..10) {
            0..5 => Taken::Copied,
            5..9 => Taken::BackedUp,
            _ => Taken::VacuumedInto,
        }
    }

    /// A closed file of what is there now. Where it was in WAL mode, its header may still say so.
    fn snapshot(&mut self, to: &Path, how: Taken) {
        let schema = self.manner.schema();
        match how {
            Taken::Copied => {
                // Everything is in the file itself once nobody has it open.
                self.reopen_after(|path| {
                    std::fs::copy(path, to).unwrap();
                });
            }
            Taken::BackedUp => {
                let mut copy = Connection::open(to).unwrap();
                copy.execute_batch("PRAGMA synchronous = OFF").unwrap();
                let backup = rusqlite::backup::Backup::new_with_names(
                    &self.connection,
                    schema,
                    &mut copy,
                    "main",
                );
                backup
                    .unwrap()
                    .run_to_completion(512, std::time::Duration::ZERO, None)
                    .unwrap();
            }
            Taken::VacuumedInto => {
                let to = to.to_str().unwrap();
                let sql = format!("VACUUM {schema} INTO ?1");
                self.connection.execute(&sql, [to]).unwrap();
            }
        }
        if self.rng.random_bool(0.7) {
            let connection = Connection::open(to).unwrap();
            connection
                .execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = DELETE")
                .unwrap();
        }
        let wal = PathBuf::from(format!("{}-wal", to.display()));
        assert!(wal.metadata().map_or(0, |wal| wal.len()) == 0, "{wal:?}");
    }

    /// Closes the file, so that the log is brought into it, and opens it again.
    fn reopen_after(&mut self, between: impl FnOnce(&Path)) {
        let nothing = Connection::open_in_memory().unwrap();
        drop(std::mem::replace(&mut self.connection, nothing));
        between(&self.path);
        self.connection = Self::connect(&self.path, &self.manner);
    }

    /// Runs SQL that has to be taken.
    fn run(&self, sql: &str) {
        let ran = self.connection.execute_batch(sql);
        ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Runs SQL that a constraint may refuse, as an application has it happen.
    fn try_to(&self, sql: &str) {
        use rusqlite::ErrorCode::{ConstraintViolation, TypeMismatch};
        match self.connection.execute_batch(sql) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.sqlite_error_code(),
                    Some(ConstraintViolation | TypeMismatch)
                ) => {}
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    fn count(&self, table: &str) -> u32 {
        let sql = format!("SELECT count(*) FROM {table}");
        self.connection
            .query_row(&sql, [], |row| row.get(0))
            .unwrap()
    }
}

impl Manner {
    /// By which name the application's statements reach the file.
    fn schema(&self) -> &'static str {
        if self.attached { "app" } else { "main" }
    }
}
