//! Which table and column goes where: both schemas and the transfer section in, pairs and structural problems out. Pure.
//!
//! Values are not looked at here; that is the plan's scan, or the copy as rows pass.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::graph::DiGraph;

use crate::runbook::frameworks::is_migration_history;
use crate::runbook::transfer::{ColumnPolicy, OnProblem, Transfer};
use crate::source::schema::{self, Schema, TextEncoding, What};
use crate::target::catalogue::{self, Catalogue, ConstraintKind, RelationKind};
use crate::transfer::convert::Converter;
use crate::transfer::kind::Kind;
use crate::transfer::matching::{self, Unmatched};
use crate::transfer::plan::units::World;
use crate::transfer::plan::{Problem, RowKey, Skipped};

/// Both schemas, paired.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// What moves, parents before children.
    pub tables: Vec<TableLayout>,
    /// What stays.
    pub skipped: Vec<Skipped>,
    /// What has no partner or no conversion.
    pub problems: Vec<Problem>,
    /// What is worth knowing.
    pub notes: Vec<Problem>,
    /// How the source stores text.
    pub encoding: TextEncoding,
}

/// A table that moves.
#[derive(Debug, Clone)]
pub struct TableLayout {
    /// Where from.
    pub source: schema::Table,
    /// Where to.
    pub target: catalogue::Table,
    /// The columns that move, in source order.
    pub columns: Vec<ColumnLayout>,
    /// The highest rowid that SQLite ever gave out here.
    pub source_high: Option<i64>,
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

/// The setting that leaves a table or column behind.
pub fn exclude(name: &str) -> Option<String> {
    Some(format!("exclude: {name}"))
}

impl Layout {
    /// Pairs everything there is.
    pub fn new(source: &Schema, target: &Catalogue, transfer: &Transfer) -> Self {
        let mut layout = Self {
            encoding: source.encoding,
            ..Self::default()
        };
        layout.skip_others(source, transfer);
        let (moving, targets) = layout.moving_tables(source, target, transfer);
        let names: Vec<&str> = moving.iter().map(|table| table.name.as_str()).collect();
        let pairs = matching::pair(&names, &targets, |name| {
            transfer.renamed_table(name).map(str::to_owned)
        });
        for (table, pair) in moving.into_iter().zip(pairs) {
            match pair {
                Ok((name, _)) => {
                    let partner = target
                        .table(name)
                        .expect("BUG: a partner is a name of the catalogue");
                    let source_high = source.sequences.get(&table.name).copied();
                    layout.add_table(table, partner, source_high, transfer);
                }
                Err(reason) => layout.unmatched_table(table, &reason),
            }
        }
        layout.note_target_only(target);
        layout.sort_by_foreign_keys();
        layout
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

    fn skip_others(&mut self, source: &Schema, transfer: &Transfer) {
        for other in &source.others {
            let why = match other.what {
                _ if transfer.excludes_table(&other.name) => "excluded",
                What::View => "a view; the target's own migrations make its views",
                What::Virtual => {
                    "a virtual table; build the target's own search or spatial index from its content"
                }
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
            } else if is_migration_history(&table.name)
                && transfer.renamed_table(&table.name).is_none()
            {
                self.skip(&table.name, "migration history; the target keeps its own");
            } else {
                moving.push(table);
            }
        }
        let targets = target.tables.iter().map(|table| table.name.as_str());
        (
            moving,
            targets.filter(|name| !is_migration_history(name)).collect(),
        )
    }

    fn unmatched_table(&mut self, table: &schema::Table, reason: &Unmatched) {
        self.problems.push(structural(
            &table.name,
            "",
            reason.to_string(),
            exclude(&table.name),
        ));
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
            self.problems
                .push(structural(&source.name, "", reason, exclude(&source.name)));
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
            self.problems
                .push(structural(&source.name, "", reason, exclude(&source.name)));
            return;
        }
        self.tables.push(TableLayout {
            source: source.clone(),
            target: target.clone(),
            columns,
            source_high,
        });
    }

    fn pair_columns(
        &mut self,
        source: &schema::Table,
        target: &catalogue::Table,
        transfer: &Transfer,
    ) -> Vec<ColumnLayout> {
        let (excluded, moving): (Vec<usize>, Vec<usize>) =
            (0..source.columns.len()).partition(|place| {
                transfer.excludes_column(&source.name, &source.columns[*place].name)
            });
        for place in excluded {
            self.skip(
                &format!("{}.{}", source.name, source.columns[place].name),
                "excluded",
            );
        }
        let names: Vec<&str> = moving
            .iter()
            .map(|place| source.columns[*place].name.as_str())
            .collect();
        let targets: Vec<&str> = target
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let pairs = matching::pair(&names, &targets, |name| {
            transfer
                .renamed_column(&source.name, name)
                .map(str::to_owned)
        });
        let mut columns = Vec::new();
        let mut filled: Vec<&str> = Vec::new();
        for (place, pair) in moving.into_iter().zip(pairs) {
            let name = &source.columns[place].name;
            match pair {
                Err(Unmatched::Missing) if source.columns[place].generated => {
                    self.skip(
                        &format!("{}.{name}", source.name),
                        "generated, and not in the target",
                    );
                }
                Err(reason) => {
                    let full = format!("{}.{name}", source.name);
                    self.problems.push(structural(
                        &source.name,
                        name,
                        reason.to_string(),
                        exclude(&full),
                    ));
                }
                Ok((partner, _)) => {
                    filled.push(partner);
                    let partner = target
                        .column(partner)
                        .expect("BUG: a partner is a column of the table");
                    columns.extend(self.column(source, place, partner, transfer));
                }
            }
        }
        self.check_unfilled(source, target, &filled);
        columns
    }

    fn column(
        &mut self,
        source: &schema::Table,
        place: usize,
        target: &catalogue::Column,
        transfer: &Transfer,
    ) -> Option<ColumnLayout> {
        let name = &source.columns[place].name;
        let full = format!("{}.{name}", source.name);
        if target.generated {
            self.skip(&full, "the target computes it; a difference from what SQLite computed is a note of `verify`");
            return None;
        }
        let kind = Kind::of(&target.ty);
        if kind == Kind::Unsupported {
            let reason = format!(
                "there is no conversion into {}",
                crate::text::printable(&target.ty.shown, 80)
            );
            self.problems
                .push(structural(&source.name, name, reason, exclude(&full)));
            return None;
        }
        let policy: ColumnPolicy = transfer.column(&source.name, name);
        let converter = Converter {
            kind,
            zone: policy.zone.or(transfer.zone),
            policy,
            not_null: target.not_null,
            // What the server makes of its expression; see [`crate::transfer::defaults`].
            default: None,
        };
        Some(ColumnLayout {
            source: place,
            target: target.clone(),
            converter,
        })
    }

    /// Target columns that nothing fills.
    fn check_unfilled(
        &mut self,
        source: &schema::Table,
        target: &catalogue::Table,
        filled: &[&str],
    ) {
        for column in target
            .columns
            .iter()
            .filter(|column| !column.generated && !filled.contains(&column.name.as_str()))
        {
            if column.not_null && !column.has_default {
                let reason = "the target wants a value here (NOT NULL without default), and the source has no such column";
                self.problems.push(structural(
                    &source.name,
                    &column.name,
                    reason,
                    exclude(&source.name),
                ));
            } else {
                let reason = if column.has_default {
                    "not in the source; gets its default"
                } else {
                    "not in the source; stays NULL"
                };
                self.notes
                    .push(structural(&source.name, &column.name, reason, None));
            }
        }
    }

    fn note_target_only(&mut self, target: &Catalogue) {
        let filled: Vec<u32> = self.tables.iter().map(|table| table.target.oid).collect();
        for table in &target.tables {
            let holds_rows = matches!(table.kind, RelationKind::Table | RelationKind::Partitioned);
            if holds_rows
                && !table.is_partition
                && !filled.contains(&table.oid)
                && !is_migration_history(&table.name)
            {
                self.skipped.push(Skipped {
                    name: table.name.clone(),
                    why: "only in the target; left as it is".to_owned(),
                });
            }
        }
    }

    /// Parents first; tables of a cycle side by side, by name. The same schemas always give the same order (`D1`), with keys that an
    /// unfinished import has away as with keys in force ([`crate::transfer::copy::away`]).
    fn sort_by_foreign_keys(&mut self) {
        self.tables
            .sort_by(|one, other| one.source.name.cmp(&other.source.name));
        // A set: in which order keys are found in a schema has no part in the order of the tables.
        let mut edges = BTreeSet::new();
        let by_oid: BTreeMap<u32, usize> = self
            .tables
            .iter()
            .enumerate()
            .map(|(place, table)| (table.target.oid, place))
            .collect();
        for (place, table) in self.tables.iter().enumerate() {
            let in_target = table
                .target
                .constraints
                .iter()
                .filter(|key| key.kind == ConstraintKind::Foreign);
            let from_target = in_target
                .filter_map(|key| key.references.as_ref())
                .filter_map(|(oid, ..)| by_oid.get(oid).copied());
            let in_source = table.source.foreign_keys.iter();
            let from_source = in_source.filter_map(|key| {
                self.tables
                    .iter()
                    .position(|other| other.source.name.eq_ignore_ascii_case(&key.references))
            });
            let parents = from_target.chain(from_source);
            edges.extend(
                parents
                    .filter(|parent| *parent != place)
                    .map(|parent| (place, parent)),
            );
        }
        let mut graph = DiGraph::<usize, ()>::new();
        let nodes: Vec<_> = (0..self.tables.len())
            .map(|place| graph.add_node(place))
            .collect();
        for (child, parent) in edges {
            graph.add_edge(nodes[child], nodes[parent], ());
        }
        let mut order: Vec<usize> = Vec::with_capacity(self.tables.len());
        for mut group in petgraph::algo::tarjan_scc(&graph) {
            group.sort();
            order.extend(group.into_iter().map(|node| graph[node]));
        }
        let mut tables: Vec<Option<TableLayout>> = std::mem::take(&mut self.tables)
            .into_iter()
            .map(Some)
            .collect();
        self.tables = order
            .into_iter()
            .filter_map(|place| tables[place].take())
            .collect();
    }
}
