//! Which table and column goes where: both schemas and the transfer section in, pairs and structural problems out. Pure.
//!
//! Values are not looked at here; that is the plan's scan, or the copy as rows pass. Names without a partner are in [`unpaired`], target
//! columns that nothing fills in [`unfilled`], keys of the section that name nothing in `effect`.

mod code;
mod columns;
mod effect;
pub mod fire;
mod order;
pub mod promised;
pub mod stand_in;
pub mod unfilled;
pub mod unpaired;

use crate::postgres::catalogue::{self, Catalogue, ConstraintKind, Materialized, RelationKind};
use crate::runbook::frameworks::book_among;
use crate::runbook::transfer::names::{column_key, part};
use crate::runbook::transfer::{OnProblem, Transfer};
use crate::sqlite::schema::{self, Schema, TextEncoding, What};
use crate::transfer::convert::Converter;
use crate::transfer::layout::stand_in::StandIn;
use crate::transfer::matching::{self, Unmatched};
use crate::transfer::plan::consequences::is_checked;
use crate::transfer::plan::suggest::Additions;
use crate::transfer::plan::units::World;
use crate::transfer::plan::{Problem, RowKey, Skipped};

/// Both schemas, paired.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// What moves, parents before children.
    pub tables: Vec<TableLayout>,
    pub skipped: Vec<Skipped>,
    /// What has no partner or no conversion.
    pub problems: Vec<Problem>,
    /// What is worth knowing.
    pub notes: Vec<Problem>,
    /// What stops nobody from loading, and the application later: a plan's problems, not an import's.
    pub warnings: Vec<Problem>,
    /// Keys whose next value the target's own code makes, nobody knows of what: a plan's problems where their tables hold rows.
    pub untraced: Vec<Problem>,
    /// What would settle the problems of names and of keys.
    pub wishes: Additions,
    /// Sequences that the transfer section says a column is numbered by: name, the target table's oid, the column's number.
    pub sequences: Vec<(String, u32, i16)>,
    /// Tables of the source in place of a sequence.
    pub stand_ins: Vec<StandIn>,
    /// Triggers that run during the load.
    pub fire: Vec<String>,
    /// The source has no table at all.
    pub source_is_empty: bool,
    /// How the source stores text.
    pub encoding: TextEncoding,
    pub schema: String,
    /// Numbered columns of tables that the target alone has: they stay as they are.
    pub others: Vec<(u32, i16)>,
    /// Materialized views of the target, in an order in which they can be refreshed.
    pub views: Vec<Materialized>,
    /// Plain columns of the source whose partner the target computes, by their table: they do not move, and what they hold may be another value.
    pub recomputed: Vec<(String, ColumnLayout)>,
    /// Partitions of tables that move. A trigger of theirs is one of its own, also where it came with the table's: what switches that one off
    /// leaves it running.
    pub parts: Vec<catalogue::Table>,
}

/// A table that moves.
#[derive(Debug, Clone)]
pub struct TableLayout {
    pub source: schema::Table,
    pub target: catalogue::Table,
    /// The columns that move, in source order.
    pub columns: Vec<ColumnLayout>,
    /// The highest rowid that SQLite ever gave out here.
    pub source_high: Option<i64>,
    pub schema: String,
    /// Foreign keys to tables that do not move.
    pub outside: Vec<catalogue::Constraint>,
    /// Checks that cannot be asked about before the load, by name: they read tables that move.
    pub unasked: Vec<String>,
}

/// A column that moves.
#[derive(Debug, Clone)]
pub struct ColumnLayout {
    /// Its place in the source table.
    pub source: usize,
    /// Its partner.
    pub target: catalogue::Column,
    /// What happens to its values.
    pub converter: Converter,
}

impl TableLayout {
    /// A moving column's name in the source.
    pub fn source_name(&self, column: &ColumnLayout) -> &str {
        &self.source.columns[column.source].name
    }
}

/// A problem of a whole table or column.
pub fn structural(
    table: &str,
    column: &str,
    reason: impl Into<String>,
    policy: Option<String>,
) -> Problem {
    Problem {
        table: table.to_owned(),
        column: column.to_owned(),
        rowid: RowKey::None,
        value: String::new(),
        reason: reason.into(),
        policy,
    }
}

/// The setting that leaves a table behind, or one of its columns.
pub fn exclude(table: &str, column: Option<&str>) -> Option<String> {
    let name = column.map_or_else(|| part(table), |column| column_key(table, column));
    Some(format!("exclude: {name}"))
}

/// A table or column that cannot move, with the setting that leaves it behind.
fn immovable(table: &str, column: Option<&str>, reason: impl Into<String>) -> Problem {
    let policy = exclude(table, column);
    structural(table, column.unwrap_or_default(), reason, policy)
}

/// Why there is nothing to pair at all, with what to do about it.
fn nothing_to_move(source: &Schema, target: &Catalogue) -> Option<String> {
    if source.tables.is_empty() {
        let wal = if source.is_wal {
            ". It is in WAL mode: what was written last is in the -wal file beside it, which has to be copied with it; better make a copy by `sqlite3 FILE '.backup COPY'`"
        } else {
            ""
        };
        let views = source
            .others
            .iter()
            .filter(|other| other.what == What::View);
        let views: Vec<&str> = views.map(|view| view.name.as_str()).collect();
        let only = match views.is_empty() {
            true => String::new(),
            false => format!(
                ", only views, which have no rows of their own and do not move: {}",
                crate::text::printable(&views.join(", "), 200)
            ),
        };
        return Some(format!("the SQLite file holds no table{only}{wal}"));
    }
    let has_tables = target.tables.iter().any(|table| {
        !table.is_partition
            && target_book(table, target).is_none()
            && matches!(table.kind, RelationKind::Table | RelationKind::Partitioned)
    });
    if has_tables {
        return None;
    }
    let schema = crate::text::printable(&target.schema, 80);
    let elsewhere = target.elsewhere.first().map(|(name, tables)| {
        let name = crate::text::printable(name, 80);
        format!("; schema {name} has {tables}: `--schema {name}` (in a runbook `target.schema`)")
    });
    let books = target.tables.iter().filter_map(|table| {
        let keeper = target_book(table, target)?;
        let name = crate::text::printable(&table.name, 80);
        Some(format!("{name} of {keeper}"))
    });
    let books: Vec<String> = books.collect();
    if !books.is_empty() {
        return Some(format!(
            "the target has none of the application's tables in schema {schema}, only the history of its migrations ({}){}. The application makes the \
             tables: run its migrations on an empty database first (a scratch one to try it), then plan again; where the history says that they ran, \
             they make nothing here any more",
            books.join(", "),
            elsewhere.unwrap_or_default()
        ));
    }
    Some(format!(
        "the target has no tables in schema {schema}{}. The application makes them: run its migrations on an empty database first (a scratch one to try it), then plan again",
        elsewhere.unwrap_or_default()
    ))
}

/// Who keeps book of the schema's migrations in this table of the source.
fn source_book(table: &schema::Table, source: &Schema) -> Option<&'static str> {
    book_among(
        &table.name,
        table.columns.iter().map(|column| column.name.as_str()),
        source.tables.iter().map(|table| table.name.as_str()),
    )
}

/// Who keeps book of the schema's migrations in this table of the target.
fn target_book(table: &catalogue::Table, target: &Catalogue) -> Option<&'static str> {
    book_among(
        &table.name,
        table.columns.iter().map(|column| column.name.as_str()),
        target.tables.iter().map(|table| table.name.as_str()),
    )
}

impl Layout {
    /// As [`Layout::new`], with the names that it suggests taken for stated: what is wrong beyond them is found in the same look.
    pub fn with_suggested_names(source: &Schema, target: &Catalogue, transfer: &Transfer) -> Self {
        let mut assumed = transfer.clone();
        let (mut named, mut wishes) = (Vec::new(), Additions::default());
        loop {
            let mut layout = Self::new(source, target, &assumed);
            let renames = std::mem::take(&mut layout.wishes.rename);
            if renames.is_empty() {
                layout.wishes.merge(wishes);
                named.append(&mut layout.problems);
                layout.problems = named;
                return layout;
            }
            let is_naming = |problem: &&Problem| {
                let policy = problem.policy.as_deref();
                policy.is_some_and(|policy| policy.starts_with("rename: "))
            };
            named.extend(layout.problems.iter().filter(is_naming).cloned());
            assumed.rename.extend(renames.clone());
            wishes.rename.extend(renames);
        }
    }

    /// Pairs everything there is.
    pub fn new(source: &Schema, target: &Catalogue, transfer: &Transfer) -> Self {
        let mut layout = Self {
            source_is_empty: source.tables.is_empty(),
            encoding: source.encoding,
            fire: transfer.fire.clone(),
            schema: target.schema.clone(),
            views: target.materialized.clone(),
            ..Self::default()
        };
        layout.skip_others(source, target, transfer);
        if let Some(reason) = nothing_to_move(source, target) {
            layout.problems.push(structural("", "", reason, None));
            return layout;
        }
        let (moving, targets) = layout.moving_tables(source, target, transfer);
        let names: Vec<&str> = moving.iter().map(|table| table.name.as_str()).collect();
        let pairs = matching::pair(&names, &targets, |name| {
            transfer.renamed_table(name).map(str::to_owned)
        });
        let filled: Vec<&str> = pairs.iter().flatten().map(|(name, _)| *name).collect();
        let unfilled: Vec<&str> = targets
            .iter()
            .copied()
            .filter(|name| !filled.contains(name))
            .collect();
        let partners = unpaired::partners(&moving, &pairs, &unfilled, target);
        for (place, (table, pair)) in moving.into_iter().zip(pairs).enumerate() {
            match pair {
                Ok((name, _)) => {
                    let partner = target
                        .table(name)
                        .expect("BUG: a partner is a name of the catalogue");
                    let source_high = source.sequences.get(&table.name).copied();
                    layout.add_table(table, partner, source_high, transfer);
                }
                Err(reason) => match StandIn::of(table, target) {
                    Some(found) if reason == Unmatched::Missing => layout.stand_ins.push(found),
                    Some(_) | None => layout.unpaired_table(table, &reason, partners[place]),
                },
            }
        }
        if layout.tables.is_empty() && layout.problems.is_empty() {
            let reason = "nothing is left to move: every table of the file is excluded, or is the bookkeeping of migrations";
            layout.problems.push(structural("", "", reason, None));
        }
        layout.parts = layout.parts_of(target);
        layout.look_outside(target);
        layout.look_at_keys(target, transfer);
        layout.look_at_triggers(target, transfer);
        layout.note_promises();
        let only_there = layout.note_target_only(target);
        layout.look_at_wal(source, &only_there, transfer);
        layout.look_at_section(source, target, transfer);
        layout.sort_by_foreign_keys();
        layout
    }

    fn parts_of(&self, target: &Catalogue) -> Vec<catalogue::Table> {
        let is_part = |table: &&catalogue::Table| {
            let mut moving = self.tables.iter();
            moving.any(|moving| moving.target.parts.contains(&table.oid))
        };
        target.tables.iter().filter(is_part).cloned().collect()
    }

    /// Materialized views over tables that move, in an order in which they can be refreshed.
    pub fn materialized(&self) -> impl Iterator<Item = &Materialized> {
        let moves = |oid: &u32| self.tables.iter().any(|table| table.target.oid == *oid);
        self.views
            .iter()
            .filter(move |view| view.reads.iter().any(moves))
    }

    /// The policy by which rows or values of a column are put aside.
    pub fn aside_by(&self, table: &str, column: &str) -> &'static str {
        let moving = self
            .tables
            .iter()
            .filter(|known| known.source.name == table);
        let nulls = moving
            .flat_map(|known| known.columns.iter().map(move |moving| (known, moving)))
            .any(|(known, moving)| {
                known.source_name(moving) == column
                    && moving.converter.policy.on_problem == Some(OnProblem::Null)
            });
        if nulls {
            "on_problem: null"
        } else {
            "on_problem: quarantine"
        }
    }

    /// What the tables tell of where the source comes from.
    pub fn world(&self) -> World {
        let moving = self.tables.iter().map(|table| table.source.name.as_str());
        World::of(moving.chain(self.skipped.iter().map(|skipped| skipped.name.as_str())))
    }

    fn skip(&mut self, name: &str, why: &str) {
        self.skipped.push(Skipped {
            name: name.to_owned(),
            why: why.to_owned(),
        });
    }

    fn skip_others(&mut self, source: &Schema, target: &Catalogue, transfer: &Transfer) {
        for other in &source.others {
            let holds_rows = |table: &catalogue::Table| {
                matches!(table.kind, RelationKind::Table | RelationKind::Partitioned)
            };
            let is_wanted = other.what == What::OwnText
                && !transfer.excludes_table(&other.name)
                && target.table(&other.name).is_some_and(holds_rows);
            if is_wanted {
                let indexes =
                    |table: &catalogue::Table| table.columns.iter().any(unpaired::is_search_vector);
                let is_index = target.table(&other.name).is_some_and(indexes);
                let reason = unpaired::full_text(source, &other.name, is_index);
                self.problems.push(immovable(&other.name, None, reason));
                continue;
            }
            let own_text = unpaired::full_text_behind(source, &other.name);
            let why = match other.what {
                _ if transfer.excludes_table(&other.name) => "excluded",
                What::View => "a view; the target's own migrations make its views",
                What::Virtual => {
                    "a virtual table; build the target's own search or spatial index from its content"
                }
                What::OwnText => own_text.as_str(),
                What::Shadow => "belongs to a virtual table",
                What::Internal => "SQLite's own",
            };
            self.skip(&other.name, why);
        }
    }

    /// Source tables that should move, and target relations that may be filled.
    fn moving_tables<'s, 't>(
        &mut self,
        source: &'s Schema,
        target: &'t Catalogue,
        transfer: &Transfer,
    ) -> (Vec<&'s schema::Table>, Vec<&'t str>) {
        let mut moving = Vec::new();
        for table in &source.tables {
            if transfer.excludes_table(&table.name) {
                self.skip(&table.name, "excluded");
            } else if let Some(keeper) = source_book(table, source).or_else(|| {
                let there = target.table(&table.name)?;
                target_book(there, target)
            }) && transfer.renamed_table(&table.name).is_none()
            {
                let why = format!("migration history of {keeper}; the target keeps its own");
                self.skip(&table.name, &why);
            } else {
                moving.push(table);
            }
        }
        let fillable = |table: &&catalogue::Table| {
            let is_stated = transfer.rename.values().any(|to| *to == table.name);
            is_stated || target_book(table, target).is_none()
        };
        let targets = target.tables.iter().filter(fillable);
        (moving, targets.map(|table| table.name.as_str()).collect())
    }

    fn add_table(
        &mut self,
        source: &schema::Table,
        target: &catalogue::Table,
        source_high: Option<i64>,
        transfer: &Transfer,
    ) {
        let relation = match target.kind {
            RelationKind::Table | RelationKind::Partitioned => None,
            RelationKind::View => Some("its partner in the target is a view"),
            RelationKind::Foreign => Some("its partner in the target is a foreign table"),
        };
        if let Some(reason) = relation {
            self.problems.push(immovable(&source.name, None, reason));
            return;
        }
        if target.unlogged {
            let reason = "the target is unlogged: a crash of the server empties it, also after parity was green";
            self.notes.push(structural(&source.name, "", reason, None));
        }
        if target.rules {
            self.notes.push(structural(
                &source.name,
                "",
                "rules on the target do not apply to the load",
                None,
            ));
        }
        let columns = self.pair_columns(source, target, transfer);
        if columns.is_empty() {
            let reason = "none of its columns moves";
            self.problems.push(immovable(&source.name, None, reason));
            return;
        }
        self.tables.push(TableLayout {
            source: source.clone(),
            target: target.clone(),
            columns,
            source_high,
            schema: String::new(),
            outside: Vec::new(),
            unasked: Vec::new(),
        });
    }

    /// Foreign keys to tables that stay as they are.
    fn look_outside(&mut self, target: &Catalogue) {
        // A partition of a table that moves is filled with it.
        let moving: Vec<u32> = self
            .tables
            .iter()
            .flat_map(|table| std::iter::once(table.target.oid).chain(table.target.parts.clone()))
            .collect();
        let to = |key: &catalogue::Constraint| key.references.as_ref().map(|(oid, ..)| *oid);
        let foreign =
            |key: &&catalogue::Constraint| key.kind == ConstraintKind::Foreign && is_checked(key);
        for table in &mut self.tables {
            table.schema.clone_from(&target.schema);
            let keys = table.target.constraints.iter().filter(foreign);
            let outside = keys.filter(|key| to(key).is_some_and(|oid| !moving.contains(&oid)));
            table.outside = outside.cloned().collect();
        }
    }

    /// A file whose last writes may have been left behind.
    fn look_at_wal(&mut self, source: &Schema, missing: &[String], transfer: &Transfer) {
        const ACCEPTED: &str = "file without its wal";
        if !source.is_wal || source.has_wal || missing.is_empty() {
            return;
        }
        let shown: Vec<String> = missing
            .iter()
            .take(5)
            .map(|n| crate::text::printable(n, 60))
            .collect();
        let reason = format!(
            "the SQLite file is in WAL mode, its -wal is not beside it, and {} table(s) of the target are not in it ({}): were its last writes left behind? Copy it by `sqlite3 FILE '.backup COPY'`; if it was closed properly and the target just has more tables: `accept: [{ACCEPTED}]`",
            missing.len(),
            shown.join(", ")
        );
        let found = structural("", "", reason, None);
        if transfer.accepts(ACCEPTED) {
            self.notes.push(found);
        } else {
            self.problems.push(found);
        }
    }

    fn note_target_only(&mut self, target: &Catalogue) -> Vec<String> {
        let mut names = Vec::new();
        let filled: Vec<u32> = self.tables.iter().map(|table| table.target.oid).collect();
        for table in &target.tables {
            let holds_rows = matches!(table.kind, RelationKind::Table | RelationKind::Partitioned);
            if holds_rows
                && !table.is_partition
                && !filled.contains(&table.oid)
                && target_book(table, target).is_none()
            {
                names.push(table.name.clone());
                let numbered = table.columns.iter().filter(|column| column.has_default);
                self.others
                    .extend(numbered.map(|column| (table.oid, column.number)));
                self.skipped.push(Skipped {
                    name: table.name.clone(),
                    why: "only in the target; left as it is".to_owned(),
                });
            }
        }
        names
    }
}
