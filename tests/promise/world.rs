//! A pair of schemas and the rows in the first, made at random: what is written into both databases, and what each value has to be
//! afterwards. States every expectation by itself; shares nothing with the program.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::specimens::SPECIMENS;

/// Both schemas and the rows.
#[derive(Debug, Clone)]
pub struct World {
    pub tables: Vec<Table>,
}

/// A table on both sides.
#[derive(Debug, Clone)]
pub struct Table {
    pub source: String,
    pub target: String,
    pub key: Key,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    /// The target has a column of its own that its functions compute.
    pub computed: bool,
    /// Another table of the target inherits from it and holds a row.
    pub inherited: bool,
    /// A trigger of the target would write beside the table.
    pub triggered: bool,
    /// It has row security, whose policy lets every row through.
    pub guarded: bool,
    /// Foreign keys of the target are checked at the end of a transaction.
    pub deferred: bool,
}

/// How a row is known, and who gives the next id in PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Serial,
    Identity,
    /// Identity that takes no other number without OVERRIDING.
    Always,
    Small,
    /// The row's number and a part; the application gives both.
    Pair,
    /// `nextval` of a sequence that all such tables share.
    Shared,
    /// `nextval(('name'::text)::regclass)`
    ByText,
    /// A sequence that steps by fifty, with a default.
    Block,
    /// A sequence that counts down.
    Down,
    /// A sequence that belongs to nobody; the application asks it.
    Free,
    /// Nothing.
    Nobody,
    /// The application gives text; WITHOUT ROWID.
    Text,
}

/// A column on both sides.
#[derive(Debug, Clone)]
pub struct Column {
    pub source: String,
    pub target: String,
    pub kind: Kind,
    pub not_null: bool,
    pub rule: Rule,
}

/// Which types meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Number,
    Truth,
    Text,
    Word,
    Money,
    Moment,
    Zoned,
    FineMoment,
    Seconds,
    Float,
    Bytes,
    Document,
    Guid,
    /// One of the columns that need a setting, or a rare type.
    Specimen(usize),
    /// The key of another table, or of this one, by its place.
    Parent(usize),
}

/// What the target asks of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    Nothing,
    Unique,
    UniqueFolded,
    /// Unique under a collation to which letter case is nothing.
    UniqueAnyCase,
    /// Unique, and NULL is a value like another.
    UniqueNull,
    /// Unique among numbers above zero.
    UniquePartly,
    NotNegative,
    /// Partitions from 0 to 100.
    Partitions,
    /// Partitions by a hash, which take everything.
    Hashed,
    Excludes,
    /// A foreign key in the target alone, in both, in the source alone.
    KeyThere,
    KeyBoth,
    KeyHere,
}

/// A row of the source.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: i64,
    pub cells: Vec<Cell>,
}

/// A value.
#[derive(Debug, Clone)]
pub struct Cell {
    /// As SQL for SQLite.
    pub literal: String,
    /// As PostgreSQL writes it; none for NULL.
    pub expected: Option<String>,
    /// It fits under no setting: it becomes NULL, or its row stays behind.
    pub bad: bool,
}

impl Rule {
    /// Whether the table is partitioned by this column.
    pub fn parts(self) -> bool {
        matches!(self, Self::Partitions | Self::Hashed)
    }
}

impl Key {
    pub fn is_text(self) -> bool {
        self == Self::Text
    }

    /// The key's value, as PostgreSQL writes it.
    pub fn shown(self, id: i64) -> String {
        if self.is_text() {
            format!("k{id}")
        } else {
            id.to_string()
        }
    }

    pub fn literal(self, id: i64) -> String {
        if self.is_text() {
            format!("'k{id}'")
        } else {
            id.to_string()
        }
    }
}

pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl World {
    /// One of so many; each specimen's turn comes.
    pub fn random(random: &mut StdRng, turn: u64) -> Self {
        let count = random.random_range(1..=4);
        let specimens = [2 * turn, 2 * turn + 1].map(|at| at as usize % SPECIMENS.len());
        let mut tables: Vec<Table> = Vec::new();
        for place in 0..count {
            let turn: &[usize] = if place == 0 { &specimens } else { &[] };
            let table = Table::random(random, place, &tables, turn);
            tables.push(table);
        }
        Self { tables }
    }

    /// Without what a server of this version does not know.
    pub fn for_server(mut self, major: u32) -> Self {
        let columns = self.tables.iter_mut().flat_map(|table| &mut table.columns);
        for column in columns.filter(|column| major < 15 && column.rule == Rule::UniqueNull) {
            column.rule = Rule::Nothing;
        }
        self
    }

    /// What the user states beforehand, as a transfer section.
    pub fn stated(&self) -> String {
        let mut lines = Vec::new();
        for table in &self.tables {
            for column in &table.columns {
                if let Kind::Specimen(at) = column.kind
                    && !SPECIMENS[at].stated.is_empty()
                {
                    let (table, column) = (&table.source, &column.source);
                    let stated = SPECIMENS[at].stated;
                    lines.push(format!("  \"{table}.{column}\": {{ {stated} }}\n"));
                }
            }
        }
        if lines.is_empty() {
            return String::new();
        }
        format!("columns:\n{}", lines.concat())
    }

    /// Worlds with something less: a table that nothing refers to, half of the rows of a table, a column, a peculiarity.
    pub fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let last = self.tables.len().saturating_sub(1);
        let last_is_needed =
            |table: &Table| table.columns.iter().any(|c| c.kind == Kind::Parent(last));
        if last > 0 && !self.tables[..last].iter().any(last_is_needed) {
            let mut less = self.clone();
            less.tables.pop();
            all.push(less);
        }
        for place in 0..self.tables.len() {
            let rows = self.tables[place].rows.len();
            for half in [rows / 2..rows, 0..rows / 2] {
                if !half.is_empty() {
                    let mut less = self.clone();
                    less.tables[place].rows.drain(half);
                    all.push(less);
                }
            }
            for column in 0..self.tables[place].columns.len() {
                if self.tables[place].columns.len() > 1 {
                    let mut less = self.clone();
                    less.tables[place].columns.remove(column);
                    less.tables[place].rows.iter_mut().for_each(|row| {
                        row.cells.remove(column);
                    });
                    all.push(less);
                }
            }
            let mut less = self.clone();
            let table = &mut less.tables[place];
            let odd = [
                &mut table.computed,
                &mut table.inherited,
                &mut table.triggered,
                &mut table.guarded,
                &mut table.deferred,
            ];
            let was_odd = odd.iter().any(|odd| **odd);
            odd.into_iter().for_each(|odd| *odd = false);
            if was_odd {
                all.push(less);
            }
        }
        all
    }
}

impl Table {
    pub fn free_sequence(&self) -> String {
        format!("{}_id_seq", self.target)
    }

    pub fn text_column(&self) -> Option<&Column> {
        self.columns.iter().find(|column| column.kind == Kind::Text)
    }

    fn random(random: &mut StdRng, place: usize, earlier: &[Table], specimens: &[usize]) -> Self {
        let (source, target) = names(random, &["order", "item"], place);
        let key = *[
            Key::Serial,
            Key::Serial,
            Key::Identity,
            Key::Always,
            Key::Small,
            Key::Pair,
            Key::Shared,
            Key::ByText,
            Key::Block,
            Key::Down,
            Key::Free,
            Key::Nobody,
            Key::Text,
        ]
        .choose(random)
        .expect("a key");
        let mut columns: Vec<Column> = Vec::new();
        for number in 0..random.random_range(1..=5) {
            let column = Column::random(random, number, earlier, &columns);
            columns.push(column);
        }
        for at in specimens {
            columns.push(Column::specimen(random, columns.len(), *at));
        }
        let parted = columns.iter().any(|column| column.rule.parts());
        if !parted && key != Key::Pair && random.random_bool(0.15) {
            columns.push(Column::of_itself(random, columns.len(), place));
        }
        if parted {
            // What a partitioned table's keys have to contain is a matter of its own.
            for column in &mut columns {
                if matches!(
                    column.rule,
                    Rule::Unique
                        | Rule::UniqueFolded
                        | Rule::UniqueAnyCase
                        | Rule::UniqueNull
                        | Rule::UniquePartly
                        | Rule::Excludes
                ) {
                    column.rule = Rule::Nothing;
                }
            }
        }
        let mut table = Self {
            source,
            target,
            key,
            columns,
            rows: Vec::new(),
            computed: random.random_bool(0.3),
            inherited: !parted && random.random_bool(0.1),
            triggered: random.random_bool(0.2),
            guarded: random.random_bool(0.1),
            deferred: random.random_bool(0.3),
        };
        let mut id = if key == Key::Down { -60 } else { 0 };
        let least = if specimens.is_empty() { 0 } else { 5 };
        for _ in 0..random.random_range(least..12) {
            id += random.random_range(1..5);
            let cells = table
                .columns
                .iter()
                .map(|column| column.cell(random, earlier, &table));
            let cells = cells.collect();
            table.rows.push(Row { id, cells });
        }
        table
    }
}

/// A name in the styles of either side.
fn names(random: &mut StdRng, words: &[&str], place: usize) -> (String, String) {
    let capital = |word: &str| {
        let (first, rest) = word.split_at(1);
        format!("{}{rest}", first.to_uppercase())
    };
    let letter = char::from(b'a' + place as u8);
    let last = format!("{letter}{letter}x");
    let all: Vec<&str> = words.iter().copied().chain([last.as_str()]).collect();
    let snake = all.join("_");
    let pascal: String = all.iter().map(|word| capital(word)).collect();
    let camel = format!(
        "{}{}",
        all[0],
        all[1..]
            .iter()
            .map(|word| capital(word))
            .collect::<String>()
    );
    match random.random_range(0..6) {
        0 => (pascal, snake),
        1 => (snake, camel),
        2 => (all.join(" "), snake),
        3 => (snake.clone(), format!("{snake}s")),
        _ => (snake.clone(), snake),
    }
}

impl Column {
    fn random(random: &mut StdRng, number: usize, earlier: &[Table], others: &[Self]) -> Self {
        let (source, target) = names(random, &["col"], number);
        let plain = [
            Kind::Number,
            Kind::Number,
            Kind::Truth,
            Kind::Text,
            Kind::Text,
            Kind::Word,
            Kind::Money,
            Kind::Moment,
            Kind::Zoned,
            Kind::FineMoment,
            Kind::Seconds,
            Kind::Float,
            Kind::Bytes,
            Kind::Document,
            Kind::Guid,
        ];
        // A partitioned table has no key that others could refer to.
        let parents: Vec<usize> = earlier
            .iter()
            .enumerate()
            .filter(|(_, table)| table.key != Key::Pair)
            .filter(|(_, table)| !table.columns.iter().any(|c| c.rule.parts()))
            .map(|(place, _)| place)
            .collect();
        let kind = match parents.choose(random) {
            Some(parent) if random.random_bool(0.35) => Kind::Parent(*parent),
            _ if random.random_bool(0.2) => Kind::Specimen(random.random_range(0..SPECIMENS.len())),
            _ => *plain.choose(random).expect("a kind"),
        };
        let has_parts = others.iter().any(|column| column.rule.parts());
        let rule = match kind {
            Kind::Text => *[
                Rule::Nothing,
                Rule::Nothing,
                Rule::Unique,
                Rule::UniqueFolded,
                Rule::UniqueAnyCase,
                Rule::Excludes,
            ]
            .choose(random)
            .expect("a rule"),
            Kind::Number if !has_parts => *[
                Rule::Nothing,
                Rule::Nothing,
                Rule::UniquePartly,
                Rule::UniqueNull,
                Rule::NotNegative,
                Rule::Partitions,
                Rule::Hashed,
            ]
            .choose(random)
            .expect("a rule"),
            Kind::Parent(_) => *[Rule::KeyThere, Rule::KeyBoth, Rule::KeyBoth, Rule::KeyHere]
                .choose(random)
                .expect("a rule"),
            _ => Rule::Nothing,
        };
        Self {
            source,
            target,
            kind,
            not_null: rule == Rule::Partitions || random.random_bool(0.3),
            rule,
        }
        .or_null()
    }

    /// One that is this specimen.
    fn specimen(random: &mut StdRng, number: usize, at: usize) -> Self {
        let (source, target) = names(random, &["col"], number);
        Self {
            source,
            target,
            kind: Kind::Specimen(at),
            not_null: random.random_bool(0.3),
            rule: Rule::Nothing,
        }
        .or_null()
    }

    /// One that refers to rows of its own table.
    fn of_itself(random: &mut StdRng, number: usize, place: usize) -> Self {
        let (source, target) = names(random, &["col"], number);
        let rule = [Rule::KeyThere, Rule::KeyBoth];
        Self {
            source,
            target,
            kind: Kind::Parent(place),
            not_null: false,
            rule: *rule.choose(random).expect("a rule"),
        }
    }

    /// What a specimen says of NULL is said by its type.
    fn or_null(mut self) -> Self {
        if let Kind::Specimen(at) = self.kind {
            self.not_null &= SPECIMENS[at].takes_null();
        }
        self
    }

    fn takes_null(&self) -> bool {
        match self.kind {
            Kind::Specimen(at) => !self.not_null && SPECIMENS[at].takes_null(),
            _ => !self.not_null,
        }
    }

    fn cell(&self, random: &mut StdRng, earlier: &[Table], own: &Table) -> Cell {
        if self.takes_null() && random.random_bool(0.15) {
            return Cell {
                literal: "NULL".to_owned(),
                expected: None,
                bad: false,
            };
        }
        if let Kind::Parent(parent) = self.kind {
            let parent = earlier.get(parent).unwrap_or(own);
            let known = parent
                .rows
                .choose(random)
                .filter(|_| random.random_bool(0.9));
            let id = known.map_or(900, |row| row.id);
            return Cell {
                literal: parent.key.literal(id),
                expected: Some(parent.key.shown(id)),
                bad: false,
            };
        }
        self.kind.cell(random)
    }
}
