//! What an application does between two snapshots, a step at a time: rows that come, go, change, move and get other keys, bytes that are
//! written into a value, and whole tables that are made anew or otherwise.

use rand::Rng;
use rand::seq::IndexedRandom;

use super::World;
use super::tables::{Holds, KINDS, Made};

impl World {
    /// Tables with this many rows at most, and what else a file has: a view, a trigger, a full-text table, an R*Tree.
    pub(super) fn begin_with(&mut self, most_rows: u32) {
        let tables = self.rng.random_range(2..7);
        for _ in 0..tables {
            let kind = self.rng.random_range(0..KINDS.len());
            let rows = self.rng.random_range(0..=most_rows);
            self.make(kind);
            self.fill(self.made.len() - 1, rows);
        }
        let schema = self.manner.schema();
        if self.rng.random_bool(0.3) {
            self.run(&format!(
                "CREATE VIRTUAL TABLE {schema}.search USING fts5(body); INSERT INTO search VALUES ('a b'), ('b c');
                 CREATE VIRTUAL TABLE {schema}.places USING rtree(id, x0, x1); INSERT INTO places VALUES (1, 0, 1);"
            ));
        }
        if self.rng.random_bool(0.3) {
            let name = self.made[0].name.clone();
            self.run(&format!(
                "CREATE VIEW {schema}.seen AS SELECT count(*) AS n FROM first;
                 CREATE TRIGGER {schema}.after_delete AFTER DELETE ON {name} BEGIN INSERT INTO first VALUES (1); END;"
            ));
        }
    }

    pub(super) fn play(&mut self, steps: u32) {
        let mut left = steps;
        while left > 0 {
            // Some together in a transaction, which is taken back now and then.
            let together = self.rng.random_range(1..6).min(left);
            if self.rng.random_bool(0.5) {
                self.run("BEGIN");
                (0..together).for_each(|_| self.step());
                let end = if self.rng.random_bool(0.1) {
                    "ROLLBACK"
                } else {
                    "COMMIT"
                };
                self.run(end);
            } else {
                (0..together).for_each(|_| self.step());
                self.between_transactions();
            }
            left -= together;
        }
    }

    fn step(&mut self) {
        if self.made.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.made.len());
        let table = self.made[at].clone();
        match self.rng.random_range(0..100) {
            0..18 => self.insert(&table, "INSERT OR IGNORE"),
            18..28 => self.insert(&table, "INSERT OR REPLACE"),
            28..36 => self.upsert(&table),
            36..54 => self.update(&table),
            54..62 => self.change_key(&table),
            62..74 => self.delete(&table),
            74..80 => self.again(&table),
            80..86 => self.write_into(&table),
            86..90 => self.look_alike(&table),
            90..93 => {
                let rows = self.rng.random_range(20..120);
                self.fill(at, rows);
            }
            93..95 => self.thin_out(&table),
            95 => self.run(&format!("DELETE FROM {}", table.name)),
            96..98 => self.move_rowid(&table),
            _ => self.touch(&table),
        }
    }

    /// What cannot be done within a transaction.
    fn between_transactions(&mut self) {
        let schema = self.manner.schema();
        match self.rng.random_range(0..24) {
            0 => self.run(&format!("VACUUM {schema}")),
            1 => {
                // In WAL mode the page size stays.
                let bytes = 512 << self.rng.random_range(0..8);
                let auto = self.rng.random_range(0..3);
                self.run(&format!(
                    "PRAGMA {schema}.page_size = {bytes}; PRAGMA {schema}.auto_vacuum = {auto}; VACUUM {schema}"
                ));
            }
            2 => self.run(&format!("PRAGMA {schema}.incremental_vacuum")),
            3 => self.run(&format!("PRAGMA {schema}.wal_checkpoint(TRUNCATE)")),
            4 => self.reopen_after(|_| {}),
            5 | 6 => self.other_schema(),
            _ => {}
        }
    }

    fn name(&mut self) -> String {
        self.named += 1;
        match self.named % 3 {
            0 => format!("\"Table {}\"", self.named),
            _ => format!("\"t{}\"", self.named),
        }
    }

    /// A new table of this kind, without rows.
    fn make(&mut self, kind: usize) {
        let kind = &KINDS[kind];
        let (name, schema) = (self.name(), self.manner.schema());
        self.run(&format!("CREATE TABLE {schema}.{name} {}", kind.body));
        if let Some(over) = kind.index
            && self.rng.random_bool(0.6)
        {
            self.named += 1;
            let index = self.named;
            self.run(&format!("CREATE INDEX {schema}.i{index} ON {name} {over}"));
        }
        self.made.push(kind.made(name));
    }

    fn fill(&mut self, at: usize, rows: u32) {
        let table = self.made[at].clone();
        let is_alone = self.connection.is_autocommit();
        if is_alone {
            self.run("BEGIN");
        }
        (0..rows).for_each(|_| self.insert(&table, "INSERT OR IGNORE"));
        if is_alone {
            self.run("COMMIT");
        }
    }

    fn insert(&mut self, table: &Made, how: &str) {
        let row = table.row(&mut self.rng);
        self.try_to(&format!("{how} INTO {} {row}", table.name));
    }

    fn upsert(&mut self, table: &Made) {
        if table.key.is_empty() || table.key[0].contains("rowid") {
            return self.insert(table, "INSERT");
        }
        let (column, holds) = self.column(table);
        let row = table.row(&mut self.rng);
        let value = holds.value(&mut self.rng);
        let key = table.key.join(", ");
        self.try_to(&format!(
            "INSERT INTO {} {row} ON CONFLICT ({key}) DO UPDATE SET {column} = {value}",
            table.name
        ));
    }

    fn update(&mut self, table: &Made) {
        let (column, holds) = self.column(table);
        let value = holds.value(&mut self.rng);
        let Some(condition) = self.one_row(table) else {
            return;
        };
        let how = *["IGNORE", "REPLACE"].choose(&mut self.rng).unwrap();
        self.try_to(&format!(
            "UPDATE OR {how} {} SET {column} = {value} WHERE {condition}",
            table.name
        ));
    }

    fn change_key(&mut self, table: &Made) {
        let Some(condition) = self.one_row(table) else {
            return;
        };
        let key = table.key.choose(&mut self.rng).cloned();
        let key = key.unwrap_or_else(|| table.columns[0].0.clone());
        let holds = table.columns.iter().find(|(name, _)| *name == key);
        let value = match holds.map_or(Holds::Any, |(_, holds)| *holds) {
            Holds::Text if self.rng.random() => format!("upper({key})"),
            Holds::Any if self.rng.random() => format!("CAST({key} AS REAL)"),
            holds => holds.value(&mut self.rng),
        };
        let how = *["IGNORE", "REPLACE"].choose(&mut self.rng).unwrap();
        self.try_to(&format!(
            "UPDATE OR {how} {} SET {key} = {value} WHERE {condition}",
            table.name
        ));
    }

    fn delete(&mut self, table: &Made) {
        if let Some(condition) = self.one_row(table) {
            self.run(&format!("DELETE FROM {} WHERE {condition}", table.name));
        }
    }

    /// The same row once more, as another one, or in its own place.
    fn again(&mut self, table: &Made) {
        let Some(condition) = self.one_row(table) else {
            return;
        };
        let (name, columns) = (&table.name, names(table));
        let is_kept = self.rng.random();
        let sql = format!(
            "CREATE TEMP TABLE kept AS SELECT {columns} FROM {name} WHERE {condition}; {}
             INSERT OR IGNORE INTO {name} ({columns}) SELECT * FROM temp.kept; DROP TABLE temp.kept;",
            if is_kept {
                String::new()
            } else {
                format!("DELETE FROM {name} WHERE {condition};")
            }
        );
        self.try_to(&sql);
        // Where a constraint stopped it half way.
        self.run("DROP TABLE IF EXISTS temp.kept");
    }

    /// Bytes written into a value without SQL. Values that an index has are refused by SQLite.
    fn write_into(&mut self, table: &Made) {
        let Some(condition) = self.one_row(table).filter(|_| table.has_rowid) else {
            return;
        };
        let (column, _) = self.column(table);
        let sql = format!("SELECT rowid FROM {} WHERE {condition}", table.name);
        let rowid: i64 = self
            .connection
            .query_row(&sql, [], |row| row.get(0))
            .unwrap();
        let (schema, bare) = (self.manner.schema(), |name: &str| {
            name.trim_matches('"').to_owned()
        });
        let (name, column) = (bare(&table.name), bare(&column));
        let opened =
            self.connection
                .blob_open(schema, name.as_str(), column.as_str(), rowid, false);
        let Ok(mut value) = opened else { return };
        if !value.is_empty() {
            let place = self.rng.random_range(0..value.len());
            let byte = self.rng.random_range(b'a'..=b'z');
            value.write_at(&[byte], place).unwrap();
        }
    }

    /// Values that SQLite takes for equal to what was there.
    fn look_alike(&mut self, table: &Made) {
        let (column, _) = self.column(table);
        let change = *[
            "CAST(# AS BLOB)",
            "CAST(# AS TEXT)",
            "lower(#)",
            "rtrim(#)",
            "-#",
            "# + 0.0",
        ]
        .choose(&mut self.rng)
        .unwrap();
        let value = change.replace('#', &column);
        self.try_to(&format!(
            "UPDATE OR IGNORE {} SET {column} = {value}",
            table.name
        ));
    }

    /// Many rows go, here and there.
    fn thin_out(&mut self, table: &Made) {
        for _ in 0..self.count(&table.name) / 3 {
            self.delete(table);
        }
    }

    fn move_rowid(&mut self, table: &Made) {
        if !table.has_rowid {
            return;
        }
        if let Some(condition) = self.one_row(table) {
            let to = self.rng.random_range(-5..600);
            self.try_to(&format!(
                "UPDATE OR IGNORE {} SET rowid = {to} WHERE {condition}",
                table.name
            ));
        }
    }

    /// A write that changes nothing.
    fn touch(&mut self, table: &Made) {
        let (column, _) = self.column(table);
        self.try_to(&format!(
            "UPDATE OR IGNORE {} SET {column} = {column}",
            table.name
        ));
    }

    fn other_schema(&mut self) {
        if self.made.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.made.len());
        let (name, schema) = (self.made[at].name.clone(), self.manner.schema());
        self.named += 1;
        let number = self.named;
        match self.rng.random_range(0..8) {
            0 => {
                self.run(&format!(
                    "ALTER TABLE {name} ADD COLUMN added{number} TEXT DEFAULT 'd'"
                ));
                let column = format!("added{number}");
                self.made[at].columns.push((column, Holds::Text));
            }
            1 => {
                let to = self.name();
                self.run(&format!("ALTER TABLE {schema}.{name} RENAME TO {to}"));
                self.made[at].name = to;
            }
            2 => {
                self.run(&format!("DROP TABLE {name}"));
                self.made.remove(at);
            }
            3 => {
                let kind = self.rng.random_range(0..KINDS.len());
                self.make(kind);
                self.fill(self.made.len() - 1, 10);
            }
            4 => {
                let (column, _) = self.column(&self.made[at].clone());
                self.run(&format!(
                    "CREATE INDEX {schema}.i{number} ON {name} ({column})"
                ));
            }
            5 => self.remade(at, ""),
            6 => self.remade(at, &format!(", CONSTRAINT c{number} CHECK (1)")),
            _ => {
                let column = self.made[at].columns.len() - 1;
                let from = self.made[at].columns[column].0.clone();
                let to = format!("renamed{number}");
                // A trigger of the table may be in the way of it; then it stays as it is called.
                let sql = format!("ALTER TABLE {name} RENAME COLUMN {from} TO {to}");
                if self.connection.execute_batch(&sql).is_ok() {
                    let made = &mut self.made[at];
                    made.columns[column].0.clone_from(&to);
                    made.key
                        .iter_mut()
                        .filter(|key| **key == from)
                        .for_each(|key| key.clone_from(&to));
                }
            }
        }
    }

    /// The table made anew with the same rows, as a tool for migrations does it: its pages are others, its rowids may be. `with` goes
    /// behind its columns.
    fn remade(&mut self, at: usize, with: &str) {
        let (table, schema) = (self.made[at].clone(), self.manner.schema());
        let bare = table.name.trim_matches('"');
        let sql =
            format!("SELECT sql FROM {schema}.sqlite_schema WHERE name = ?1 AND type = 'table'");
        let sql: String = self
            .connection
            .query_row(&sql, [bare], |row| row.get(0))
            .unwrap();
        let (begin, end) = (sql.find('(').unwrap(), sql.rfind(')').unwrap());
        let (body, tail) = (&sql[begin..end], &sql[end..]);
        let columns = names(&table);
        let name = &table.name;
        self.run(&format!(
            "CREATE TABLE {schema}.remade {body}{with}{tail};
             INSERT INTO remade ({columns}) SELECT {columns} FROM {name};
             DROP TABLE {name}; ALTER TABLE {schema}.remade RENAME TO {name};"
        ));
    }

    /// A column that can be written, with what it takes.
    fn column(&mut self, table: &Made) -> (String, Holds) {
        table.columns.choose(&mut self.rng).unwrap().clone()
    }

    /// The condition that one of its rows meets.
    fn one_row(&mut self, table: &Made) -> Option<String> {
        let rows = self.count(&table.name);
        (rows > 0).then(|| table.at(self.rng.random_range(0..rows)))
    }
}

fn names(table: &Made) -> String {
    let names: Vec<&str> = table
        .columns
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.join(", ")
}
