//! What `plan` says of the way back: which values a rollback could not bring back to SQLite exactly, which `feed:` suits, and whether PostgreSQL
//! lets it follow what users write. Not in here: finding that out (`salvage::beforehand`, `feed::beforehand`).

use std::collections::BTreeSet;

use serde::Serialize;

use crate::cli::pair::Pair;
use crate::feed;
use crate::salvage::beforehand::{self, Beforehand};
use crate::text::printable;
use crate::transfer::plan::Plan;

/// Lines about columns without `--all`.
const LINES: usize = 20;
/// Sorts of values that a line names.
const NAMED: usize = 8;

/// What a rollback would bring back, in the shape of `plan --json`.
#[derive(Debug, Serialize)]
pub(super) struct WayBack {
    /// Whether every value of every column comes back exactly; none where that is not known.
    exact: Option<bool>,
    /// `feed.writes` that suits; none where that is not known.
    writes: Option<&'static str>,
    /// By column.
    #[serde(flatten)]
    found: Beforehand,
    /// Why it is not known.
    unknown: Option<String>,
    /// It was asked, and there was no answer.
    #[serde(skip)]
    failed: bool,
    /// Whether PostgreSQL lets a rollback follow what users write; none where that is not known.
    feed: Option<feed::beforehand::Beforehand>,
    /// Why that is not known, where it was asked.
    feed_unknown: Option<String>,
}

/// Looks, where the plan is one by which rows can move.
pub(super) async fn look(pair: &Pair, plan: &Plan) -> WayBack {
    if !plan.scanned {
        return WayBack::unknown("no value was looked at".to_owned());
    }
    if !plan.problems.is_empty() {
        return WayBack::unknown("told once nothing stands in the way".to_owned());
    }
    let found = beforehand::look(&pair.source, &pair.target, &pair.schema, &pair.transfer).await;
    let way_back = match found {
        Ok(found) => WayBack::known(found),
        Err(error) => WayBack {
            failed: true,
            ..WayBack::unknown(crate::cli::words(&anyhow::Error::from(error)))
        },
    };
    way_back.with_feed(pair).await
}

impl WayBack {
    fn unknown(why: String) -> Self {
        Self {
            exact: None,
            writes: None,
            found: Beforehand::default(),
            unknown: Some(why),
            failed: false,
            feed: None,
            feed_unknown: None,
        }
    }

    async fn with_feed(mut self, pair: &Pair) -> Self {
        let role = pair.runtime_role.as_deref();
        let (schema, transfer) = (&pair.schema, &pair.transfer);
        match feed::beforehand::look(&pair.source, &pair.target, schema, transfer, role).await {
            Ok(found) => self.feed = Some(found),
            Err(error) => {
                self.feed_unknown = Some(crate::cli::words(&anyhow::Error::from(error)));
            }
        }
        self
    }

    fn known(found: Beforehand) -> Self {
        let writes = match found.is_exact_but_for_rare() {
            true => "keep",
            false => "salvage",
        };
        Self {
            exact: Some(found.is_exact()),
            writes: Some(writes),
            found,
            unknown: None,
            failed: false,
            feed: None,
            feed_unknown: None,
        }
    }

    /// For people; `all` leaves nothing out.
    pub(super) fn lines(&self, all: bool) -> Vec<String> {
        let mut lines = self.of_values(all);
        let told = self.feed.iter().flat_map(|feed| feed.sentences());
        lines.extend(told.map(|sentence| format!("    {sentence}")));
        lines.extend(self.feed_unknown.iter().map(|why| {
            format!(
                "whether PostgreSQL lets a rollback follow what users write is not known: {why}"
            )
        }));
        lines
    }

    fn of_values(&self, all: bool) -> Vec<String> {
        let Some(writes) = self.writes else {
            let why = self.unknown.iter().filter(|_| self.failed);
            let line = |why: &String| {
                format!("which values a rollback could not bring back is not known: {why}")
            };
            return why.map(line).collect();
        };
        if self.exact == Some(true) {
            return vec![
                "a rollback: every column comes back exactly (in the runbook `feed: { writes: keep }`)"
                    .to_owned(),
            ];
        }
        let mut lines = Vec::new();
        let told = self.usual();
        if told.is_empty() {
            lines.push("a rollback: every column comes back exactly, but for".to_owned());
        } else {
            lines.push("a rollback could not bring back exactly:".to_owned());
        }
        let most = if all { told.len() } else { LINES };
        let more = told.len().saturating_sub(most);
        lines.extend(told.into_iter().take(most));
        if more > 0 {
            lines.push(format!("    and {more} more, which `--all` names"));
        }
        lines.extend(self.rare(all));
        for table in &self.found.unpaired {
            lines.push(format!(
                "    {}: nobody can tell, it has no partner",
                printable(table, 80)
            ));
        }
        lines.push(
            "    A row with such a value stays in salvage.db; with `feed.nearest: true` it comes back with the nearest value, where there is one."
                .to_owned(),
        );
        let why = match writes {
            "keep" => "",
            _ => " # not every column comes back exactly",
        };
        lines.push(format!(
            "    In the runbook `feed: {{ writes: {writes} }}{why}`"
        ));
        lines
    }

    /// A line for each sort of value that applications write.
    fn usual(&self) -> Vec<String> {
        let of_column = |column: &beforehand::Column| {
            let name = format!(
                "{}.{}",
                printable(&column.table, 80),
                printable(&column.column, 80)
            );
            let usual = column.exactness.exceptions.iter();
            let usual = usual.filter(|exception| !exception.rare);
            usual
                .map(|exception| format!("    {name}: {}", exception.sentence()))
                .collect::<Vec<_>>()
        };
        self.found.columns.iter().flat_map(of_column).collect()
    }

    /// What is hardly ever written, in one line; with `all` by column.
    fn rare(&self, all: bool) -> Vec<String> {
        let mut sorts = BTreeSet::new();
        let mut columns = BTreeSet::new();
        let mut each = Vec::new();
        for column in &self.found.columns {
            let name = format!(
                "{}.{}",
                printable(&column.table, 80),
                printable(&column.column, 80)
            );
            let rare = column.exactness.exceptions.iter();
            for exception in rare.filter(|exception| exception.rare) {
                sorts.insert(exception.values.as_str());
                columns.insert(name.clone());
                each.push(format!(
                    "    {name}: hardly ever written: {}",
                    exception.sentence()
                ));
            }
        }
        if all || sorts.is_empty() {
            return each;
        }
        let named: Vec<String> = sorts.iter().take(NAMED).map(|s| printable(s, 80)).collect();
        let others = match sorts.len().saturating_sub(NAMED) {
            0 => "",
            _ => ", …",
        };
        vec![format!(
            "    what applications hardly write, in {} column(s): {}{others}",
            columns.len(),
            named.join(", ")
        )]
    }
}
