//! In which order the tables move: parents before children. Pure. Not in here: the keys themselves, which are put aside for the load
//! (`copy::away`).

use std::collections::{BTreeMap, BTreeSet};

use petgraph::graph::DiGraph;

use crate::postgres::catalogue::ConstraintKind;

use super::{Layout, TableLayout};

impl Layout {
    /// Parents first; tables of a cycle side by side, by name. The same schemas always give the same order (`D1`), with keys that an
    /// unfinished import has away as with keys in force ([`crate::transfer::copy::away`]).
    pub(super) fn sort_by_foreign_keys(&mut self) {
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
