//! Slugs (`T4b`, `V3`, `V5`): every slug of one side is found on the other and leads to the same logical record.

use super::super::canon::{Tag, cells};
use super::super::error::Error;
use super::super::fingerprint::HashKey;
use super::super::look::{Apart, Look};
use super::super::report::Check;
use super::super::sides::Sides;
use super::{EXAMPLES, Wrong, named};
use crate::runbook::transfer::Slug;
use crate::text::printable;
use std::collections::{HashMap, HashSet};

/// Two verdicts per configured column: every slug leads to the same record, and no two slugs fall together that did not before.
/// Slugs are compared as the application looks them up: trimmed and without letter case where the runbook says so. The record that a
/// slug leads to is known by its key, or by all its values where the table has none.
///
/// # Errors
/// A configured table or column is not there, or a side could not be read.
pub async fn slugs(sides: &Sides, id: &str) -> Result<Vec<Check>, Error> {
    let mut checks = Vec::new();
    for slug in &sides.transfer.slugs {
        checks.extend(column(sides, id, slug).await?);
    }
    Ok(checks)
}

/// The records that one looked-up form leads to, on both sides.
#[derive(Debug, Clone, Copy, Default)]
struct Leads {
    source_records: u128,
    source_count: u32,
    target_records: u128,
    target_count: u32,
}

impl Leads {
    fn is_same(&self) -> bool {
        (self.source_records, self.source_count) == (self.target_records, self.target_count)
    }
}

async fn column(sides: &Sides, id: &str, slug: &Slug) -> Result<[Check; 2], Error> {
    let what = "slugs";
    let pair = named(sides, what, &slug.table, &[&slug.column])?;
    // As the file writes it.
    let name = pair
        .column(&slug.column)
        .map(|column| column.source.clone());
    let name = name.unwrap_or_else(|| slug.column.clone());
    let look = Look::identified(sides, pair, std::slice::from_ref(&name));
    let unknown = || Error::Unknown {
        what: what.to_owned(),
        name: slug.column.clone(),
    };
    let at = look.place(&name).ok_or_else(unknown)?;
    let hash = HashKey::random();
    let apart = look.apart().await?;
    let of_source = apart.clone();
    let rule = slug.clone();
    let (mut leads, _) = look
        .source("", HashMap::<u128, Leads>::new(), move |leads, row| {
            if let Some(form) = looked_up(row.canonical, at, &rule)
                && !of_source.has_source(row)
            {
                let entry = leads.entry(hash.hash(form.as_bytes())).or_default();
                entry.source_records = entry
                    .source_records
                    .wrapping_add(hash.hash(&row.canonical[..row.key_bytes]));
                entry.source_count += 1;
            }
            Ok(())
        })
        .await?;
    look.target("", |row| {
        if let (false, Some(form)) = (apart.has_target(row), looked_up(row.canonical, at, slug)) {
            let entry = leads.entry(hash.hash(form.as_bytes())).or_default();
            entry.target_records = entry
                .target_records
                .wrapping_add(hash.hash(&row.canonical[..row.key_bytes]));
            entry.target_count += 1;
        }
    })
    .await?;
    let slugs = leads.len();
    let ambiguous = leads.values().filter(|lead| lead.source_count > 1).count();
    let astray: HashMap<_, _> = leads
        .iter()
        .filter(|(_, lead)| !lead.is_same())
        .map(|(form, lead)| (*form, *lead))
        .collect();
    let fallen: HashSet<_> = leads
        .iter()
        .filter(|(_, lead)| lead.target_count > lead.source_count.max(1))
        .map(|(form, _)| *form)
        .collect();
    let shown = if astray.is_empty() {
        HashMap::new()
    } else {
        Naming {
            look: &look,
            apart: &apart,
            at,
            slug,
            hash,
        }
        .name(&astray)
        .await?
    };
    let title = format!(
        "{}.{}",
        printable(&slug.table, 80),
        printable(&slug.column, 80)
    );
    Ok([
        resolution(id, &title, &astray, &shown, slugs),
        uniqueness(id, &title, &fallen, &shown, ambiguous),
    ])
}

/// The slug as the application looks it up; none for NULL.
fn looked_up(row: &[u8], at: usize, slug: &Slug) -> Option<String> {
    let cell = cells(row).nth(at)?;
    if cell.first() == Some(&(Tag::Null as u8)) {
        return None;
    }
    let text = String::from_utf8_lossy(&cell[super::super::canon::HEADER_BYTES..]);
    let trimmed = if slug.trim { text.trim() } else { &text };
    Some(if slug.ignore_case {
        trimmed.to_lowercase()
    } else {
        trimmed.to_owned()
    })
}

/// A form of a slug with what it leads to, for people.
#[derive(Debug, Clone, Default)]
struct Shown {
    slug: String,
    source: Vec<String>,
    target: Vec<String>,
}

struct Naming<'a> {
    look: &'a Look<'a>,
    apart: &'a Apart,
    at: usize,
    slug: &'a Slug,
    hash: HashKey,
}

impl Naming<'_> {
    /// Reads both sides once more to name the first of the slugs that lead astray.
    async fn name(&self, astray: &HashMap<u128, Leads>) -> Result<HashMap<u128, Shown>, Error> {
        let mut some: Vec<_> = astray.keys().copied().collect();
        some.sort_unstable();
        some.truncate(EXAMPLES);
        let wanted: HashSet<_> = some.into_iter().collect();
        let (at, slug, hash, of_source) = (self.at, self.slug.clone(), self.hash, wanted.clone());
        let keys = self.look.pair().key_columns;
        let record = move |shown: Vec<String>| {
            if keys == 0 {
                shown.join(", ")
            } else {
                shown[..keys].join(", ")
            }
        };
        let of_row = record;
        let (mut named, _) = self
            .look
            .source("", HashMap::<u128, Shown>::new(), move |named, row| {
                if let Some(form) = looked_up(row.canonical, at, &slug)
                    && of_source.contains(&hash.hash(form.as_bytes()))
                {
                    let entry = named.entry(hash.hash(form.as_bytes())).or_default();
                    entry.slug = printable(&form, 80);
                    entry.source.push(of_row(row.shown()?));
                }
                Ok(())
            })
            .await?;
        self.look
            .target("", |row| {
                if let (false, Some(form)) = (
                    self.apart.has_target(row),
                    looked_up(row.canonical, at, self.slug),
                ) && wanted.contains(&hash.hash(form.as_bytes()))
                {
                    let entry = named.entry(hash.hash(form.as_bytes())).or_default();
                    entry.slug = printable(&form, 80);
                    entry.target.push(record(row.shown()));
                }
            })
            .await?;
        Ok(named)
    }
}

fn resolution(
    id: &str,
    title: &str,
    astray: &HashMap<u128, Leads>,
    shown: &HashMap<u128, Shown>,
    slugs: usize,
) -> Check {
    let mut sentences: Vec<_> = shown.values().map(sentence).collect();
    sentences.sort();
    let wrong = Wrong {
        count: astray.len() as u64,
        examples: sentences,
    };
    wrong.verdict(id, format!("slugs of {title}"), || {
        format!("{slugs} slugs lead to the same records")
    })
}

fn sentence(shown: &Shown) -> String {
    let Shown {
        slug,
        source,
        target,
    } = shown;
    match (source.as_slice(), target.as_slice()) {
        (there, []) => format!(
            "`{slug}` leads to record {} in the backup and to nothing in PostgreSQL",
            there.join(" and ")
        ),
        ([], there) => format!(
            "`{slug}` leads to record {} in PostgreSQL and to nothing in the backup",
            there.join(" and ")
        ),
        (here, there) => format!(
            "`{slug}` leads to record {} in the backup and to record {} in PostgreSQL",
            here.join(" and "),
            there.join(" and ")
        ),
    }
}

fn uniqueness(
    id: &str,
    title: &str,
    fallen: &HashSet<u128>,
    shown: &HashMap<u128, Shown>,
    ambiguous: usize,
) -> Check {
    let mut examples: Vec<_> = fallen
        .iter()
        .filter_map(|form| shown.get(form))
        .map(|shown| {
            format!(
                "`{}` leads to {} records in PostgreSQL: {}",
                shown.slug,
                shown.target.len(),
                shown.target.join(" and ")
            )
        })
        .collect();
    examples.sort();
    let wrong = Wrong {
        count: fallen.len() as u64,
        examples,
    };
    wrong.verdict(id, format!("unique slugs of {title}"), || match ambiguous {
        0 => "no two slugs fall together".to_owned(),
        some => format!("{some} slugs lead to several records, in the backup as in PostgreSQL"),
    })
}
