//! Joins (`E2`): for each relation, every parent has as many children on both sides.

use super::super::canon::cells;
use super::super::error::Error;
use super::super::fingerprint::{Fingerprint, HashKey, Partitions};
use super::super::look::Look;
use super::super::report::Check;
use super::super::sides::Sides;
use super::super::source_rows::SourceRow;
use super::super::target_rows::TargetRow;
use super::relations::{self, Relation};
use super::{Equal, Wrong};
use std::collections::{BTreeMap, HashSet};

/// One verdict per relation, declared or recognised by name. Where all children are known to be equal, so are their numbers.
pub async fn joins(sides: &Sides, id: &str, equal: &Equal) -> Result<Vec<Check>, Error> {
    let mut checks = Vec::new();
    for relation in relations::all(sides).await? {
        checks.push(if equal.holds(&relation.child) {
            Wrong::default().verdict(id, name(&relation), || {
                "as many children per parent on both sides: every child is equal".to_owned()
            })
        } else {
            join(sides, id, &relation).await?
        });
    }
    Ok(checks)
}

fn name(relation: &Relation) -> String {
    format!("join {}", relation.title())
}

/// Children of one parent, as people see the reference, on both sides.
#[derive(Debug, Default)]
struct Children {
    shown: String,
    source: u64,
    target: u64,
}

async fn join(sides: &Sides, id: &str, relation: &Relation) -> Result<Check, Error> {
    let hash = HashKey::random();
    let look = Look::only(sides, &relation.child, &relation.columns);
    let rewritten = Rewritten::of(sides, relation).await?;
    let partitions = partitions(relation);
    let (mut target, mut children) = (Fingerprint::empty(partitions), 0_u64);
    let count = |row: &TargetRow<'_>| {
        if !row.is_new {
            children += 1;
            target.add(
                hash.partition(row.canonical, partitions),
                hash.hash(row.canonical),
                row.canonical.len(),
            );
        }
    };
    let of_source = rewritten.source_fingerprint(sides, relation, hash);
    let ((), source) = tokio::try_join!(look.target("", count), of_source)?;
    let suspicious: HashSet<usize> = source
        .differing(&target)
        .into_iter()
        .map(|(at, _)| at)
        .collect();
    let mut wrong = Wrong::default();
    if !suspicious.is_empty() {
        for counts in rewritten
            .count(sides, relation, hash, &suspicious)
            .await?
            .into_values()
            .filter(|c| c.source != c.target)
        {
            let Children {
                shown,
                source,
                target,
            } = counts;
            wrong.add(|| {
                format!(
                    "{}: {shown} has {source} children in the backup and {target} in PostgreSQL",
                    relation.title()
                )
            });
        }
    }
    Ok(wrong.verdict(id, name(relation), || {
        format!("{children} children, as many per parent on both sides")
    }))
}

fn partitions(relation: &Relation) -> Partitions {
    Partitions::of_table(relation.child.size_bytes)
}

/// Children that the application rewrote after the switch: neither side's version of them counts.
struct Rewritten(HashSet<Box<[u8]>>);

impl Rewritten {
    async fn of(sides: &Sides, relation: &Relation) -> Result<Self, Error> {
        Ok(Self(Look::new(sides, &relation.child).new_keys().await?))
    }

    /// The key is read along only where something was rewritten.
    fn look<'a>(&self, sides: &'a Sides, relation: &Relation) -> (Look<'a>, usize) {
        if self.0.is_empty() {
            return (Look::only(sides, &relation.child, &relation.columns), 0);
        }
        let key = relation.child.columns[..relation.child.key_columns]
            .iter()
            .map(|column| column.source.clone());
        let columns: Vec<_> = relation
            .columns
            .iter()
            .cloned()
            .chain(key.filter(|part| !relation.columns.contains(part)))
            .collect();
        (
            Look::only(sides, &relation.child, &columns),
            relation.child.key_columns,
        )
    }

    async fn source_fingerprint(
        &self,
        sides: &Sides,
        relation: &Relation,
        hash: HashKey,
    ) -> Result<Fingerprint, Error> {
        let (look, _) = self.look(sides, relation);
        let cut = Cut::new(&look, relation, &self.0);
        let partitions = partitions(relation);
        let add = move |fingerprint: &mut Fingerprint, row: &SourceRow<'_>| {
            if let Some(reference) = cut.reference(row.canonical) {
                fingerprint.add(
                    hash.partition(reference, partitions),
                    hash.hash(reference),
                    reference.len(),
                );
            }
            Ok(())
        };
        Ok(look
            .source("", Fingerprint::empty(partitions), add)
            .await?
            .0)
    }

    /// Children per parent, for the parents in some partitions.
    async fn count(
        &self,
        sides: &Sides,
        relation: &Relation,
        hash: HashKey,
        suspicious: &HashSet<usize>,
    ) -> Result<BTreeMap<Box<[u8]>, Children>, Error> {
        let (look, _) = self.look(sides, relation);
        let partitions = partitions(relation);
        let (cut, of_source, columns) = (
            Cut::new(&look, relation, &self.0),
            suspicious.clone(),
            relation.columns.len(),
        );
        let count = move |counts: &mut BTreeMap<Box<[u8]>, Children>, row: &SourceRow<'_>| {
            if let Some(reference) = cut.reference(row.canonical)
                && of_source.contains(&hash.partition(reference, partitions))
            {
                let entry = counts.entry(reference.into()).or_default();
                entry.source += 1;
                if entry.shown.is_empty() {
                    entry.shown = row.shown()?[..columns].join(", ");
                }
            }
            Ok(())
        };
        let (mut counts, _) = look.source("", BTreeMap::new(), count).await?;
        let look = Look::only(sides, &relation.child, &relation.columns);
        look.target("", |row| {
            if !row.is_new && suspicious.contains(&hash.partition(row.canonical, partitions)) {
                let entry = counts.entry(row.canonical.into()).or_default();
                entry.target += 1;
                if entry.shown.is_empty() {
                    entry.shown = row.shown().join(", ");
                }
            }
        })
        .await?;
        Ok(counts)
    }
}

/// Takes the reference out of a source row that was read with its key behind it.
struct Cut {
    columns: usize,
    key_places: Vec<usize>,
    rewritten: HashSet<Box<[u8]>>,
}

impl Cut {
    fn new(look: &Look<'_>, relation: &Relation, rewritten: &HashSet<Box<[u8]>>) -> Self {
        let key = &relation.child.columns[..relation.child.key_columns];
        let key_places = if rewritten.is_empty() {
            Vec::new()
        } else {
            key.iter()
                .filter_map(|part| look.place(&part.source))
                .collect()
        };
        Self {
            columns: relation.columns.len(),
            key_places,
            rewritten: rewritten.clone(),
        }
    }

    fn reference<'r>(&self, row: &'r [u8]) -> Option<&'r [u8]> {
        if self.key_places.is_empty() {
            return Some(row);
        }
        let cells: Vec<_> = cells(row).collect();
        let key: Vec<u8> = self
            .key_places
            .iter()
            .flat_map(|at| cells[*at].iter().copied())
            .collect();
        let length = cells[..self.columns].iter().map(|cell| cell.len()).sum();
        (!self.rewritten.contains(key.as_slice())).then(|| &row[..length])
    }
}
