//! SQLite's next ids are raised beyond those that PostgreSQL has given out, so that the two never hand out the same one.
//!
//! That is done in R3, before the first instance comes back: by what the engine has seen every two seconds; where it has seen nothing,
//! PostgreSQL is waited for a second at most. SQLite's own file is waited for two. Not in here: the rows (`salvage`).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::{Context, blocking, owner, same_target, was_open};
use crate::journal::Follower;
use crate::postgres::written::CountersProbe;
use crate::runbook::transfer::Transfer;
use crate::session::charter::LineKind;
use crate::session::facts::{Numbered, Sequences};
use crate::session::live::{CostView, key};
use crate::sqlite::ids::{self, Raised};
use crate::sqlite::schema::Schema;
use crate::transfer::matching;

/// Instances go on writing to PostgreSQL until they are restarted: so many ids are left free for that, or as many as were given out
/// since the import, if that is more.
const HEADROOM: i64 = 1_000;
/// How long the ids are waited for, where they are not known.
const IDS_LIMIT: Duration = Duration::from_secs(1);
/// How long raising them in SQLite may take. Instances wait to be restarted.
const FILE_LIMIT: Duration = Duration::from_secs(2);

/// Raises SQLite's next ids beyond those that PostgreSQL has given out, so that the two never hand out the same one. Where an engine
/// has seen since F4 which those are, PostgreSQL is not asked: a dead one gives out no more, and what a living one has given out since
/// is within the headroom. Says what came of it; nothing that happens here keeps an instance from coming back.
pub async fn raise_ids(ctx: &Context) -> String {
    if !was_open(ctx) {
        return "no id was given out by PostgreSQL".to_owned();
    }
    let sequences = match ctx.fact() {
        Ok(left) => left.map_or_else(Vec::new, |Sequences(sequences)| sequences),
        Err(unreadable) => return not_raised(&unreadable.to_string()),
    };
    let seen = match seen(ctx) {
        Some(seen) => seen,
        None => match tokio::time::timeout(IDS_LIMIT, given_out(ctx)).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(why)) => return not_raised(&why),
            Err(_) => return not_raised("PostgreSQL did not answer within a second"),
        },
    };
    let given_out = seen.by_table(&sequences);
    let (file, transfer) = (
        ctx.runbook.source.file.clone(),
        ctx.runbook.transfer.clone(),
    );
    let raising = blocking(move || raise(&file, &transfer, &given_out));
    match tokio::time::timeout(FILE_LIMIT, raising).await {
        Ok(Ok(raised)) => said(&raised),
        Ok(Err(why)) => not_raised(&why),
        Err(_) => not_raised("SQLite did not come to it within two seconds"),
    }
}

fn not_raised(why: &str) -> String {
    format!("SQLite may give out ids that PostgreSQL has given out: {why}")
}

fn said(raised: &Raised) -> String {
    let (n, all_can) = (raised.raised.len(), raised.cannot.is_empty());
    let mut said = match n {
        0 if all_can => "SQLite's next ids are beyond PostgreSQL's".to_owned(),
        0 => String::new(),
        n => format!("the next ids of {n} tables raised beyond PostgreSQL's; "),
    };
    if !all_can {
        said.push_str(&format!(
            "without AUTOINCREMENT SQLite gives ids to other rows that PostgreSQL had given out, in {} (`cutover salvage apply --new-ids` brings \
             those in under other ids)",
            raised.cannot.join(", ")
        ));
    }
    said.trim_end_matches("; ").to_owned()
}

/// Numbers that sequences have given out.
struct Seen {
    /// The last one of each, by schema and name.
    last: BTreeMap<String, i64>,
    /// How long users had been writing then.
    open_ms: i64,
    /// How long ago that was.
    age_ms: i64,
}

impl Seen {
    /// The number that counts as the last one, by the target's table.
    fn by_table(&self, sequences: &[Numbered]) -> BTreeMap<String, i64> {
        let mut by_table = BTreeMap::new();
        for numbered in sequences {
            let Some(&last) = self.last.get(&numbered.sequence) else {
                continue;
            };
            let beyond = last.saturating_add(self.headroom(last - numbered.last_value));
            let known = by_table.entry(numbered.table.clone()).or_insert(beyond);
            *known = (*known).max(beyond);
        }
        by_table
    }

    /// As many again as were given out, and what may have been since, at twice the pace.
    fn headroom(&self, given_out: i64) -> i64 {
        let since = 2 * self.age_ms.max(0) / self.open_ms.max(1_000);
        given_out.max(HEADROOM).saturating_mul(1 + since)
    }
}

/// What the engine saw last, also an engine before this one; `None` where none has.
fn seen(ctx: &Context) -> Option<Seen> {
    let board = Follower::open(&ctx.folder).and_then(|f| f.board::<CostView>(key::COST));
    let cost = board.ok()??;
    let opened_ms = ctx.session.step_of_kind(&LineKind::Reopen)?.started_ms?;
    (!cost.given_out.is_empty()).then(|| Seen {
        last: cost.given_out,
        open_ms: cost.at_ms - opened_ms,
        age_ms: ctx.shared.clock.now_ms() - cost.at_ms,
    })
}

/// The same, asked of PostgreSQL now.
async fn given_out(ctx: &Context) -> Result<Seen, String> {
    let endpoint = owner(ctx).map_err(|outcome| outcome.summary)?;
    same_target(ctx).await.map_err(|why| why.to_string())?;
    let mut probe = CountersProbe::new(endpoint, &ctx.runbook.target.schema, IDS_LIMIT);
    let last = probe.given_out().await.map_err(|e| e.to_string())?;
    Ok(Seen {
        last,
        open_ms: 0,
        age_ms: 0,
    })
}

/// Pairs the tables by the import's rule for names, and raises.
fn raise(
    file: &Path,
    transfer: &Transfer,
    given_out: &BTreeMap<String, i64>,
) -> Result<Raised, String> {
    let connection =
        crate::sqlite::open_read_only_within(file, ids::BUSY_LIMIT).map_err(|e| e.to_string())?;
    let schema = Schema::read(&connection).map_err(|e| e.to_string())?;
    drop(connection);
    let sources: Vec<&str> = schema.tables.iter().map(|t| t.name.as_str()).collect();
    let targets: Vec<&str> = given_out.keys().map(String::as_str).collect();
    let pairs = matching::pair(&sources, &targets, |name| {
        transfer.renamed_table(name).map(str::to_owned)
    });
    let last = sources.iter().zip(pairs).filter_map(|(source, pair)| {
        let (target, _) = pair.ok()?;
        Some(((*source).to_owned(), *given_out.get(target)?))
    });
    let last: Vec<(String, i64)> = last.collect();
    ids::raise(file, &last).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(sequence: &str, table: &str, last_value: i64) -> Numbered {
        Numbered {
            sequence: sequence.to_owned(),
            table: table.to_owned(),
            last_value,
            proof: serde_json::Map::new(),
        }
    }

    #[test]
    fn ids_are_left_free_for_what_may_have_been_given_out_since() {
        let minute = 60_000;
        let table = [
            // Given out since the import, for how long, how long ago: what is left free.
            ((0, minute, 0), 1_000),
            ((5_000, minute, 2_000), 5_000),
            ((5_000, minute, minute), 15_000),
            ((10, 1, 500), 2_000),
            ((5_000, 0, 0), 5_000),
            ((i64::MAX, minute, 10 * minute), i64::MAX),
        ];
        for ((given_out, open_ms, age_ms), free) in table {
            let seen = Seen {
                last: BTreeMap::new(),
                open_ms,
                age_ms,
            };
            assert_eq!(
                seen.headroom(given_out),
                free,
                "{given_out} {open_ms} {age_ms}"
            );
        }
    }

    #[test]
    fn of_several_sequences_of_a_table_the_furthest_counts() {
        let last = [("public.a", 70), ("public.b", 9_000), ("public.other", 1)];
        let seen = Seen {
            last: last.map(|(name, n)| (name.to_owned(), n)).into(),
            open_ms: 60_000,
            age_ms: 0,
        };
        let sequences = [
            numbered("public.a", "Tools", 50),
            numbered("public.b", "Tools", 6_000),
            numbered("public.none", "Steps", 4),
        ];
        assert_eq!(
            seen.by_table(&sequences),
            BTreeMap::from([("Tools".to_owned(), 12_000)])
        );
    }
}
