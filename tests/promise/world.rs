//! A pair of schemas and the rows in the first, made at random: what is written into both databases, and what each value has to be
//! afterwards. States every expectation by itself; shares nothing with the program.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

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
}

/// How a row is known, and who gives the next id in PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Serial,
    Identity,
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
    /// The key of another table, by its place.
    Parent(usize),
}

/// What the target asks of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    Nothing,
    Unique,
    UniqueFolded,
    /// Unique among numbers above zero.
    UniquePartly,
    NotNegative,
    /// Partitions from 0 to 100.
    Partitions,
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

    fn literal(self, id: i64) -> String {
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
    pub fn random(random: &mut StdRng) -> Self {
        let count = random.random_range(1..=4);
        let mut tables: Vec<Table> = Vec::new();
        for place in 0..count {
            let table = Table::random(random, place, &tables);
            tables.push(table);
        }
        Self { tables }
    }

    /// Worlds with something less: a table that nothing refers to, half of the rows of a table, a column, a peculiarity.
    pub fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let last = self.tables.len().saturating_sub(1);
        let last_is_needed =
            |table: &Table| table.columns.iter().any(|c| c.kind == Kind::Parent(last));
        if self.tables.len() > 1 && !self.tables.iter().any(last_is_needed) {
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
            if table.computed || table.inherited || table.triggered {
                (table.computed, table.inherited, table.triggered) = (false, false, false);
                all.push(less);
            }
        }
        all
    }

    /// SQL for the SQLite file.
    pub fn source_sql(&self) -> String {
        let mut sql = String::new();
        for table in &self.tables {
            let key = if table.key.is_text() {
                "\"id\" TEXT NOT NULL PRIMARY KEY"
            } else {
                "\"id\" INTEGER PRIMARY KEY"
            };
            let mut parts = vec![key.to_owned()];
            for column in &table.columns {
                let references = match (column.kind, column.rule) {
                    (Kind::Parent(parent), Rule::KeyBoth | Rule::KeyHere) => {
                        format!(
                            " REFERENCES {}(\"id\")",
                            quoted(&self.tables[parent].source)
                        )
                    }
                    _ => String::new(),
                };
                let declared = match column.kind {
                    Kind::Parent(parent) if self.tables[parent].key.is_text() => "TEXT",
                    kind => kind.declared(),
                };
                parts.push(format!("{} {declared}{references}", quoted(&column.source)));
            }
            let rest = if table.key.is_text() {
                " WITHOUT ROWID"
            } else {
                ""
            };
            sql.push_str(&format!(
                "CREATE TABLE {} ({}){rest};\n",
                quoted(&table.source),
                parts.join(", ")
            ));
            for row in &table.rows {
                let cells = row.cells.iter().map(|cell| cell.literal.clone());
                let values: Vec<String> = std::iter::once(table.key.literal(row.id))
                    .chain(cells)
                    .collect();
                sql.push_str(&format!(
                    "INSERT INTO {} VALUES ({});\n",
                    quoted(&table.source),
                    values.join(", ")
                ));
            }
        }
        sql
    }

    /// SQL for the target, as the application's migrations would make it.
    pub fn target_sql(&self) -> String {
        let mut sql = "CREATE SEQUENCE shared_ids;
CREATE FUNCTION fold(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower(btrim(t)) $$;
CREATE FUNCTION key_of(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN fold(t); END $$;
CREATE TABLE audit_trail (note text);
CREATE FUNCTION audit_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit_trail VALUES (TG_TABLE_NAME); RETURN NULL; END $$;\n".to_owned();
        for (place, table) in self.tables.iter().enumerate() {
            self.table_sql(place, table, &mut sql);
        }
        sql
    }

    fn table_sql(&self, place: usize, table: &Table, sql: &mut String) {
        let name = quoted(&table.target);
        let sequence = format!("ids_{place}");
        let (before, key) = match table.key {
            Key::Serial => (String::new(), "serial".to_owned()),
            Key::Identity => (
                String::new(),
                "bigint GENERATED BY DEFAULT AS IDENTITY".to_owned(),
            ),
            Key::Shared => (
                String::new(),
                "bigint DEFAULT nextval('shared_ids')".to_owned(),
            ),
            Key::ByText => (
                format!("CREATE SEQUENCE {sequence};\n"),
                format!("bigint DEFAULT nextval(('{sequence}'::text)::regclass)"),
            ),
            Key::Block => (
                format!("CREATE SEQUENCE {sequence} INCREMENT 50;\n"),
                format!("bigint DEFAULT nextval('{sequence}')"),
            ),
            Key::Down => (
                format!("CREATE SEQUENCE {sequence} INCREMENT -1;\n"),
                format!("bigint DEFAULT nextval('{sequence}')"),
            ),
            Key::Free => (
                format!("CREATE SEQUENCE {};\n", quoted(&table.free_sequence())),
                "bigint".to_owned(),
            ),
            Key::Nobody => (String::new(), "bigint".to_owned()),
            Key::Text => (String::new(), "text".to_owned()),
        };
        sql.push_str(&before);
        let parted = table.columns.iter().find(|c| c.rule == Rule::Partitions);
        let mut parts = vec![match parted {
            None => format!("\"id\" {key} PRIMARY KEY"),
            Some(_) => format!("\"id\" {key} NOT NULL"),
        }];
        let mut after = String::new();
        for column in &table.columns {
            let quoted_column = quoted(&column.target);
            let ty = match column.kind {
                Kind::Parent(parent) if self.tables[parent].key.is_text() => "text",
                kind => kind.target(),
            };
            let null = if column.not_null { " NOT NULL" } else { "" };
            parts.push(format!("{quoted_column} {ty}{null}"));
            let index = format!("{place}_{}", column.target.replace(' ', "_"));
            match (column.rule, column.kind) {
                (Rule::Unique, _) => parts.push(format!("UNIQUE ({quoted_column})")),
                (Rule::UniqueFolded, _) => after.push_str(&format!(
                    "CREATE UNIQUE INDEX \"folded_{index}\" ON {name} (key_of({quoted_column}));\n"
                )),
                (Rule::UniquePartly, _) => after.push_str(&format!(
                    "CREATE UNIQUE INDEX \"partly_{index}\" ON {name} ({quoted_column}) WHERE {quoted_column} > 0;\n"
                )),
                (Rule::NotNegative, _) => parts.push(format!("CHECK ({quoted_column} >= 0)")),
                (Rule::Excludes, _) => {
                    parts.push(format!("EXCLUDE USING btree ({quoted_column} WITH =)"));
                }
                (Rule::KeyThere | Rule::KeyBoth, Kind::Parent(parent)) => parts.push(format!(
                    "FOREIGN KEY ({quoted_column}) REFERENCES {}(\"id\")",
                    quoted(&self.tables[parent].target)
                )),
                (Rule::Nothing | Rule::Partitions | Rule::KeyHere | Rule::KeyThere | Rule::KeyBoth, _) => {}
            }
        }
        if let (true, Some(text)) = (table.computed, table.text_column()) {
            parts.push(format!(
                "computed text GENERATED ALWAYS AS (key_of({})) STORED",
                quoted(&text.target)
            ));
        }
        let how = parted.map_or(String::new(), |c| {
            format!(" PARTITION BY RANGE ({})", quoted(&c.target))
        });
        sql.push_str(&format!(
            "CREATE TABLE {name} ({}){how};\n",
            parts.join(", ")
        ));
        if parted.is_some() {
            sql.push_str(&format!("CREATE TABLE part_{place}_a PARTITION OF {name} FOR VALUES FROM (0) TO (50);\nCREATE TABLE part_{place}_b PARTITION OF {name} FOR VALUES FROM (50) TO (100);\n"));
        }
        sql.push_str(&after);
        if table.triggered {
            sql.push_str(&format!("CREATE TRIGGER audit AFTER INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION audit_row();\n"));
        }
        if table.inherited {
            sql.push_str(&format!(
                "CREATE TABLE heir_{place} (note text) INHERITS ({name});\n"
            ));
        }
    }

    /// The application's next row in this table, as it would be written without an id; none where another row has to be there first.
    pub fn next_insert(&self, table: &Table) -> String {
        let mut names = Vec::new();
        let mut values = Vec::new();
        match table.key {
            Key::Text => {
                names.push("\"id\"".to_owned());
                values.push("'next'".to_owned());
            }
            Key::Free => {
                names.push("\"id\"".to_owned());
                values.push(format!("nextval('{}')", quoted(&table.free_sequence())));
            }
            _ => {}
        }
        for column in table.columns.iter().filter(|column| column.not_null) {
            names.push(quoted(&column.target));
            values.push(match column.kind {
                Kind::Parent(parent) => {
                    format!(
                        "(SELECT min(\"id\") FROM ONLY {})",
                        quoted(&self.tables[parent].target)
                    )
                }
                kind => kind.fresh().to_owned(),
            });
        }
        if names.is_empty() {
            format!("INSERT INTO {} DEFAULT VALUES", quoted(&table.target))
        } else {
            format!(
                "INSERT INTO {} ({}) VALUES ({})",
                quoted(&table.target),
                names.join(", "),
                values.join(", ")
            )
        }
    }
}

impl Table {
    pub fn free_sequence(&self) -> String {
        format!("{}_id_seq", self.target)
    }

    fn text_column(&self) -> Option<&Column> {
        self.columns.iter().find(|column| column.kind == Kind::Text)
    }

    fn random(random: &mut StdRng, place: usize, earlier: &[Table]) -> Self {
        let (source, target) = names(random, &["order", "item"], place);
        let key = *[
            Key::Serial,
            Key::Serial,
            Key::Identity,
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
        let parted = columns.iter().any(|column| column.rule == Rule::Partitions);
        if parted {
            // What a partitioned table's keys have to contain is a matter of its own.
            for column in &mut columns {
                if matches!(
                    column.rule,
                    Rule::Unique | Rule::UniqueFolded | Rule::UniquePartly | Rule::Excludes
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
        };
        let mut id = if key == Key::Down { -60 } else { 0 };
        for _ in 0..random.random_range(0..12) {
            id += random.random_range(1..5);
            let cells = table
                .columns
                .iter()
                .map(|column| column.cell(random, earlier));
            table.rows.push(Row {
                id,
                cells: cells.collect(),
            });
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
            .filter(|(_, table)| !table.columns.iter().any(|c| c.rule == Rule::Partitions))
            .map(|(place, _)| place)
            .collect();
        let kind = match parents.choose(random) {
            Some(parent) if random.random_bool(0.35) => Kind::Parent(*parent),
            _ => *plain.choose(random).expect("a kind"),
        };
        let has_parts = others.iter().any(|column| column.rule == Rule::Partitions);
        let rule = match kind {
            Kind::Text => *[
                Rule::Nothing,
                Rule::Nothing,
                Rule::Unique,
                Rule::UniqueFolded,
                Rule::Excludes,
            ]
            .choose(random)
            .expect("a rule"),
            Kind::Number if !has_parts => *[
                Rule::Nothing,
                Rule::Nothing,
                Rule::UniquePartly,
                Rule::NotNegative,
                Rule::Partitions,
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
    }

    fn cell(&self, random: &mut StdRng, earlier: &[Table]) -> Cell {
        if !self.not_null && random.random_bool(0.15) {
            return Cell {
                literal: "NULL".to_owned(),
                expected: None,
                bad: false,
            };
        }
        if let Kind::Parent(parent) = self.kind {
            let parent = &earlier[parent];
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

impl Kind {
    fn declared(self) -> &'static str {
        match self {
            Self::Number | Self::Parent(_) => "INTEGER",
            Self::Truth => "BOOLEAN",
            Self::Text | Self::Word | Self::Document | Self::Guid => "TEXT",
            Self::Money => "NUMERIC_TEXT",
            Self::Moment | Self::Zoned | Self::FineMoment => "TEXT",
            Self::Seconds => "INTEGER",
            Self::Float => "REAL",
            Self::Bytes => "BLOB",
        }
    }

    fn target(self) -> &'static str {
        match self {
            Self::Number | Self::Parent(_) => "bigint",
            Self::Truth => "boolean",
            Self::Text => "text",
            Self::Word => "varchar(5)",
            Self::Money => "numeric(10,2)",
            Self::Moment | Self::FineMoment => "timestamp",
            Self::Zoned | Self::Seconds => "timestamptz",
            Self::Float => "double precision",
            Self::Bytes => "bytea",
            Self::Document => "jsonb",
            Self::Guid => "uuid",
        }
    }

    /// A value that no row has, as SQL for PostgreSQL.
    fn fresh(self) -> &'static str {
        match self {
            Self::Number | Self::Parent(_) => "99",
            Self::Truth => "true",
            Self::Text => "'a fresh text'",
            Self::Word => "'fresh'",
            Self::Money => "1.00",
            Self::Moment | Self::FineMoment | Self::Zoned | Self::Seconds => "now()",
            Self::Float => "1",
            Self::Bytes => "'\\x00'",
            Self::Document => "'{}'",
            Self::Guid => "'00000000-0000-0000-0000-000000000001'",
        }
    }

    fn cell(self, random: &mut StdRng) -> Cell {
        let fits = |literal: String, expected: String| Cell {
            literal,
            expected: Some(expected),
            bad: false,
        };
        let bad = |literal: &str| Cell {
            literal: literal.to_owned(),
            expected: None,
            bad: true,
        };
        let is_bad = random.random_bool(0.03);
        let text = |text: &str| fits(format!("'{text}'"), text.to_owned());
        match self {
            Self::Number | Self::Parent(_) if is_bad => bad("'abc'"),
            Self::Number | Self::Parent(_) => {
                let number = random.random_range(-3..98);
                fits(number.to_string(), number.to_string())
            }
            Self::Truth if is_bad => bad("2"),
            Self::Truth => match random.random_bool(0.5) {
                true => fits("1".to_owned(), "true".to_owned()),
                false => fits("0".to_owned(), "false".to_owned()),
            },
            Self::Text => {
                let word = [
                    "Ann", "ann", " ann ", "ben", "Cem", "dora", "eve", "fay", "gus", "hal",
                ]
                .choose(random)
                .expect("a word");
                text(&format!(
                    "{word}{}",
                    ["", "1", "2", "3"].choose(random).expect("a digit")
                ))
            }
            Self::Word if is_bad => bad("'longer than five'"),
            Self::Word => text(["a", "", "fünf", "NULL"].choose(random).expect("a word")),
            Self::Money => text(&format!(
                "{}.{:02}",
                random.random_range(0..5000),
                random.random_range(0..100)
            )),
            Self::Moment if is_bad => bad("'yesterday'"),
            Self::Moment => text(&format!(
                "2024-0{}-15 10:00:0{}",
                random.random_range(1..10),
                random.random_range(0..10)
            )),
            Self::Zoned => {
                let at = format!("2023-0{}-15 10:00:00", random.random_range(1..10));
                fits(format!("'{at}'"), format!("{at}+00"))
            }
            Self::FineMoment => {
                let at = format!("2024-01-0{} 10:00:00.123456", random.random_range(1..10));
                fits(format!("'{at}7'"), at)
            }
            Self::Seconds => {
                let day = random.random_range(1..29);
                // 2024-02-01 00:00:00 UTC and whole days after it.
                fits(
                    (1_706_745_600 + 86_400 * (day - 1)).to_string(),
                    format!("2024-02-{day:02} 00:00:00+00"),
                )
            }
            Self::Float => {
                let quarters = random.random_range(-400..400);
                let value = f64::from(quarters) / 4.0;
                fits(format!("{value:?}"), value.to_string())
            }
            Self::Bytes => {
                let byte: u8 = random.random();
                fits(format!("x'00{byte:02x}'"), format!("\\x00{byte:02x}"))
            }
            Self::Document if is_bad => bad("'{broken'"),
            Self::Document => {
                let number = random.random_range(0..100);
                fits(
                    format!("'{{\"a\":{number}}}'"),
                    format!("{{\"a\": {number}}}"),
                )
            }
            Self::Guid => {
                let id = format!("00000000-0000-4000-8000-{:012x}", random.random::<u32>());
                fits(format!("'{}'", id.to_uppercase()), id)
            }
        }
    }
}
