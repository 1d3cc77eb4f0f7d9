//! One case of the loader's property: schemas, rows, and what happens between the first command and the last. Plain data from a seed.

use std::collections::BTreeMap;
use std::fmt::Write;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

/// Names whose order is not that of their creation, in either database's eyes.
const NAMES: &[&str] = &[
    "zeta", "Alpha", "m_1", "beta", "_under", "Ärger", "a b", "order", "M1",
];

/// Everything that one run of the property needs.
#[derive(Debug, Clone)]
pub struct Case {
    /// In the order of their creation in SQLite.
    pub tables: Vec<Table>,
    /// What is tried before the last command.
    pub steps: Vec<Step>,
    /// The section of the last command.
    pub last: Section,
}

/// A table on both sides.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    pub key: Key,
    /// Rows in SQLite.
    pub rows: u32,
    /// Every so many rows, `n` is no number; 0: never.
    pub bad_every: u32,
    /// `r` goes into `numeric(6,2)`, which it does not fit.
    pub rough: bool,
    /// Two values of `t` are the same under a unique index of the target.
    pub same: Option<bool>,
    pub parent: Option<Parent>,
    /// A trigger of the target spoils what is inserted.
    pub trigger: bool,
    /// A table of the target inherits from it and holds rows.
    pub heir: bool,
    /// Rows in the target before the first command.
    pub held: u32,
}

/// A foreign key in column `f`.
#[derive(Debug, Clone)]
pub struct Parent {
    pub name: String,
    pub key: Key,
    pub rows: u32,
    pub in_source: bool,
    pub in_target: bool,
    /// Every so many rows, the parent is missing; 0: never.
    pub missing_every: u32,
}

/// How rows are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Dense,
    /// Rowids far apart: the table counts as large, so that its indexes go for the load.
    Sparse,
    Text,
    Pair,
    None,
    /// Columns have taken all names of the rowid.
    Taken,
}

impl Key {
    /// The number of row `at`, where it is known by a number.
    pub fn number(self, at: u32) -> i64 {
        match self {
            Self::Sparse => i64::from(at) * 9_973 - 20_000,
            Self::Dense | Self::Text | Self::Pair | Self::None | Self::Taken => i64::from(at) + 1,
        }
    }
}

/// How a command ends before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Not at all, but by what is wrong with the values.
    Values,
    /// Ctrl-C after so many batches.
    Cancel(u32),
    /// `kill -9` of the process after so many milliseconds.
    Kill(u64),
    /// The server ends every connection of the import after so many batches.
    Terminate(u32),
    /// `kill -9` of a process of the server after so many batches: all of it starts anew.
    Crash(u32),
}

/// A command that may not end.
#[derive(Debug, Clone)]
pub struct Step {
    pub section: Section,
    pub stop: Stop,
    /// The application writes before it.
    pub write: Option<String>,
}

/// A transfer section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub replace: bool,
    pub exclude: Option<String>,
    /// By column, the settings.
    pub columns: BTreeMap<String, String>,
}

impl Section {
    /// As a file. What is between double quotes reads the same in JSON and YAML.
    pub fn yaml(&self) -> String {
        let text = |name: &str| serde_json::to_string(name).expect("a string");
        let rows = if self.replace { "replace" } else { "refuse" };
        let mut yaml = format!("target_rows: {rows}\n");
        if let Some(table) = &self.exclude {
            writeln!(yaml, "exclude: [{}]", text(table)).expect("a string");
        }
        if !self.columns.is_empty() {
            yaml.push_str("columns:\n");
        }
        for (column, settings) in &self.columns {
            writeln!(yaml, "  {}: {{ {settings} }}", text(column)).expect("a string");
        }
        yaml
    }
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

impl Case {
    /// The case of a seed.
    pub fn new(seed: u64, crashes: bool) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let tables = tables(&mut random);
        let mut steps = Vec::new();
        let mut section = Section::random(&mut random, &tables, 0.5);
        for _ in 0..random.random_range(1..4) {
            if random.random_bool(0.5) {
                section = Section::random(&mut random, &tables, 0.6);
            }
            let batches = random.random_range(1..6);
            let stop = match random.random_range(0..10) {
                _ if crashes => Stop::Crash(batches),
                0..3 => Stop::Values,
                3..6 => Stop::Cancel(batches),
                6..8 => Stop::Kill(random.random_range(10..400)),
                _ => Stop::Terminate(batches),
            };
            let write = random
                .random_bool(0.15)
                .then(|| write(&mut random, &tables));
            steps.push(Step {
                section: section.clone(),
                stop,
                write,
            });
        }
        let last = if random.random_bool(0.4) {
            section
        } else {
            Section::random(&mut random, &tables, 0.95)
        };
        Self {
            tables,
            steps,
            last,
        }
    }

    /// SQL that makes the source.
    pub fn source(&self) -> String {
        // As applications do that never switched it on: rows without a parent can be written.
        let mut sql = "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; BEGIN;\n".to_owned();
        for table in &self.tables {
            sql.push_str(&table.source());
        }
        sql.push_str("COMMIT;\n");
        sql
    }

    /// SQL that makes the target's schema.
    pub fn target(&self, schema: &str) -> String {
        let mut sql = format!(
            "CREATE SCHEMA {schema};
             CREATE FUNCTION {schema}.spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.t := 'spoiled'; RETURN NEW; END $$;\n"
        );
        for table in self.tables.iter().rev() {
            sql.push_str(&table.target(schema));
        }
        for table in &self.tables {
            if let Some(parent) = table.parent.as_ref().filter(|parent| parent.in_target) {
                writeln!(
                    sql,
                    "ALTER TABLE {schema}.{} ADD FOREIGN KEY (f) REFERENCES {schema}.{};",
                    quoted(&table.name),
                    quoted(&parent.name)
                )
                .expect("a string");
            }
        }
        sql
    }

    /// Simpler cases that may fail in the same way.
    pub fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        for place in 0..self.steps.len() {
            let mut case = self.clone();
            case.steps.remove(place);
            simpler.push(case);
        }
        for place in 0..self.tables.len() {
            let name = self.tables[place].name.clone();
            let is_parent = self.tables.iter().any(|table| {
                table
                    .parent
                    .as_ref()
                    .is_some_and(|parent| parent.name == name)
            });
            let is_written = self
                .steps
                .iter()
                .any(|step| step.write.as_ref().is_some_and(|sql| sql.contains(&name)));
            if !is_parent && !is_written && self.tables.len() > 1 {
                let mut case = self.clone();
                case.tables.remove(place);
                simpler.push(case);
            }
        }
        for place in 0..self.steps.len() {
            if self.steps[place].write.is_some() {
                let mut case = self.clone();
                case.steps[place].write = None;
                simpler.push(case);
            }
        }
        simpler
    }
}

fn tables(random: &mut StdRng) -> Vec<Table> {
    let mut names = NAMES.to_vec();
    names.shuffle(random);
    let keys = [
        Key::Dense,
        Key::Dense,
        Key::Sparse,
        Key::Text,
        Key::Pair,
        Key::None,
        Key::Taken,
    ];
    let mut tables: Vec<Table> = names
        .into_iter()
        .take(random.random_range(2..5))
        .map(|name| Table {
            name: name.to_owned(),
            key: *keys.choose(random).expect("a key"),
            rows: random.random_range(0..60),
            bad_every: if random.random_bool(0.25) {
                random.random_range(5..20)
            } else {
                0
            },
            rough: random.random_bool(0.3),
            same: random.random_bool(0.4).then(|| random.random_bool(0.3)),
            parent: None,
            trigger: random.random_bool(0.2),
            heir: random.random_bool(0.15),
            held: if random.random_bool(0.15) {
                random.random_range(1..4)
            } else {
                0
            },
        })
        .collect();
    let parents: Vec<(String, Key, u32)> = tables
        .iter()
        .filter(|table| matches!(table.key, Key::Dense | Key::Sparse))
        .map(|table| (table.name.clone(), table.key, table.rows))
        .collect();
    for table in &mut tables {
        let parent = parents.choose(random).filter(|_| random.random_bool(0.7));
        table.parent = parent.map(|(name, key, rows)| Parent {
            name: name.clone(),
            key: *key,
            rows: *rows,
            in_source: random.random_bool(0.4),
            in_target: random.random_bool(0.8),
            missing_every: if random.random_bool(0.1) { 11 } else { 0 },
        });
    }
    tables
}

impl Section {
    /// Settles each risk with this probability.
    fn random(random: &mut StdRng, tables: &[Table], settles: f64) -> Self {
        let mut columns = BTreeMap::new();
        for table in tables {
            let mut settle = |is_risk: bool, column: &str, settings: &str| {
                if is_risk && random.random_bool(settles) {
                    let key = format!("{}.{column}", table.name);
                    columns.insert(key, settings.to_owned());
                }
            };
            let bad = ["on_problem: quarantine", "on_problem: \"null\""];
            settle(table.bad_every > 0, "n", bad[table.rows as usize % 2]);
            settle(table.rough, "r", "real: shortest, scale: round");
            settle(table.same == Some(true), "t", "on_problem: quarantine");
            let parent = table.parent.as_ref();
            let missing = parent.is_some_and(|parent| parent.missing_every > 0);
            settle(missing, "f", "on_problem: quarantine");
        }
        let exclude = tables
            .choose(random)
            .filter(|_| random.random_bool(0.1))
            .map(|table| table.name.clone());
        Self {
            replace: random.random_bool(0.3),
            exclude,
            columns,
        }
    }
}

/// Something that the application does.
fn write(random: &mut StdRng, tables: &[Table]) -> String {
    let table = quoted(&tables.choose(random).expect("a table").name);
    let statements = [
        format!("UPDATE {table} SET t = t || ' changed'"),
        format!("DELETE FROM {table} WHERE n % 7 = 3"),
        format!("UPDATE {table} SET r = 1.5"),
    ];
    statements.choose(random).expect("a statement").clone()
}

impl Table {
    fn source(&self) -> String {
        let name = quoted(&self.name);
        let (key, tail) = match self.key {
            Key::Dense | Key::Sparse => ("id INTEGER PRIMARY KEY, ", ""),
            Key::Text => ("k TEXT PRIMARY KEY, ", " WITHOUT ROWID"),
            Key::Pair => ("a TEXT, b INTEGER, ", " WITHOUT ROWID"),
            Key::None => ("", ""),
            Key::Taken => ("rowid TEXT, oid INTEGER, _rowid_ TEXT, ", ""),
        };
        let reference = match &self.parent {
            Some(parent) if parent.in_source => format!(" REFERENCES {}", quoted(&parent.name)),
            _ => String::new(),
        };
        let primary = if self.key == Key::Pair {
            ", PRIMARY KEY (a, b)"
        } else {
            ""
        };
        let mut sql = format!(
            "CREATE TABLE {name} ({key}n INTEGER, r REAL, t TEXT, f INTEGER{reference}{primary}){tail};\n"
        );
        for at in 0..self.rows {
            writeln!(sql, "INSERT INTO {name} VALUES ({});", self.row(at)).expect("a string");
        }
        sql
    }

    fn row(&self, at: u32) -> String {
        let number = self.key.number(at);
        let key = match self.key {
            Key::Dense | Key::Sparse => format!("{number}, "),
            Key::Text => format!("'k{:03}', ", at * 37 % 101),
            Key::Pair => format!("'x{}', {at}, ", at % 3),
            Key::None => String::new(),
            Key::Taken => format!("'r{at}', {at}, NULL, "),
        };
        let is_every = |every: u32| every > 0 && at % every == every - 1;
        let n = if is_every(self.bad_every) {
            "'no number'".to_owned()
        } else {
            at.to_string()
        };
        let r = if self.rough {
            format!("{at} / 7.0")
        } else {
            format!("{at} * 0.25")
        };
        let t = match self.same {
            Some(true) if at % 17 == 16 => "'the same'".to_owned(),
            _ => format!("'t{at}'"),
        };
        let f = match &self.parent {
            Some(parent) if is_every(parent.missing_every) => "-77".to_owned(),
            Some(parent) if parent.rows > 0 && at % 4 != 3 => {
                parent.key.number(at % parent.rows).to_string()
            }
            _ => "NULL".to_owned(),
        };
        format!("{key}{n}, {r}, {t}, {f}")
    }

    fn target(&self, schema: &str) -> String {
        let name = format!("{schema}.{}", quoted(&self.name));
        let key = match self.key {
            Key::Dense | Key::Sparse => "id bigint PRIMARY KEY, ",
            Key::Text => "k text PRIMARY KEY, ",
            Key::Pair => "a text, b bigint, PRIMARY KEY (a, b), ",
            Key::None => "",
            Key::Taken => "\"rowid\" text, oid bigint, _rowid_ text, ",
        };
        let real = if self.rough {
            "numeric(6,2)"
        } else {
            "double precision"
        };
        let mut sql =
            format!("CREATE TABLE {name} ({key}n integer, r {real}, t text, f bigint);\n");
        if self.same.is_some() {
            let index = quoted(&format!("{}_t", self.name));
            writeln!(sql, "CREATE UNIQUE INDEX {index} ON {name} (t);").expect("a string");
        }
        if self.heir {
            let heir = format!("{schema}.{}", quoted(&format!("{}_heir", self.name)));
            let (columns, values) = self.known(1);
            writeln!(
                sql,
                "CREATE TABLE {heir} (why text) INHERITS ({name}); INSERT INTO {heir} ({columns}n, why) VALUES ({values}1, 'kept');"
            )
            .expect("a string");
        }
        for held in 0..self.held {
            let (columns, values) = self.known(900_000_000 + held);
            writeln!(
                sql,
                "INSERT INTO {name} ({columns}n, t) VALUES ({values}{held}, 'held {held}');"
            )
            .expect("a string");
        }
        if self.trigger {
            writeln!(
                sql,
                "CREATE TRIGGER spoiling BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION {schema}.spoil();"
            )
            .expect("a string");
        }
        sql
    }

    /// The target's key columns, and values for a row that SQLite does not have.
    fn known(&self, number: u32) -> (&'static str, String) {
        match self.key {
            Key::Dense | Key::Sparse => ("id, ", format!("{number}, ")),
            Key::Text => ("k, ", format!("'held {number}', ")),
            Key::Pair => ("a, b, ", format!("'held', {number}, ")),
            Key::None | Key::Taken => ("", String::new()),
        }
    }
}
