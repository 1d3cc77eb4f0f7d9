//! The full scan: every value of every planned table through the same conversion as the copy, several tables and ranges at a time.
//!
//! Runs in threads of its own and talks through a channel. What the server alone can judge is in [`super::probe`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use rusqlite::types::ValueRef;

use crate::runbook::transfer::{OnProblem, Zone};
use crate::transfer::convert::{Converter, Reject, shown, stands_for, text};
use crate::transfer::error::read;
use crate::transfer::kind::Kind;
use crate::transfer::layout::{Layout, TableLayout};
use crate::transfer::plan::aside::{AsideRow, Asides};
use crate::transfer::plan::consequences::Action;
use crate::transfer::plan::guess::Guids;
use crate::transfer::plan::habits;
use crate::transfer::plan::units::{self, Numbers, World};
use crate::transfer::plan::wish::Wish;
use crate::transfer::plan::{Problem, RowKey, mend, sentinels};
use crate::transfer::reader::{Cursor, Reader, RowView, Span, estimate};
use crate::transfer::rows::{ColumnLook, Encoder, Outcome, Quarantined};
use crate::transfer::{Error, Progress};

/// Problems of one column that are listed; the others are counted.
pub const LISTED_PER_COLUMN: u64 = 10_000;
/// Rows of one piece of work, about.
const SPAN_ROWS: u64 = 200_000;
/// Rows between two looks at the clock and at the cancellation.
const STRIDE: u64 = 4_096;

/// What the scan found in one table.
#[derive(Debug, Default)]
pub struct Scanned {
    /// Rows counted.
    pub rows: u64,
    /// Per moving column.
    pub looks: Vec<ColumnLook>,
    /// Sorted by row.
    pub problems: Vec<Problem>,
    /// Per column, problems beyond those listed.
    pub unlisted: BTreeMap<String, u64>,
    /// Per column, what would settle its problems.
    pub wishes: BTreeMap<String, Wish>,
    /// Uses of policies, by `column: policy`.
    pub uses: BTreeMap<String, u64>,
    /// Per moving column, its numbers, where they would stand for moments or durations and no unit is stated.
    pub numbers: BTreeMap<usize, Numbers>,
    /// Per moving column, its blobs, where they would be GUIDs and no order is stated.
    pub guids: BTreeMap<usize, Guids>,
    /// Moving columns of truth that hold 1, so that -1 is something else.
    pub ones: BTreeSet<usize>,
    /// Rows that stay behind: put aside by a policy, or without any setting under which they would fit.
    pub behind: Vec<RowKey>,
    /// What the transfer section does about values that do not fit.
    pub aside: Asides,
}

impl Scanned {
    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        if self.looks.is_empty() {
            self.looks = other.looks;
        } else {
            self.looks
                .iter_mut()
                .zip(&other.looks)
                .for_each(|(mine, theirs)| mine.merge(theirs));
        }
        self.problems.extend(other.problems);
        self.behind.extend(other.behind);
        self.aside.merge(other.aside);
        for (column, wish) in other.wishes {
            self.wishes.entry(column).or_default().merge(wish);
        }
        for (place, numbers) in other.numbers {
            self.numbers.entry(place).or_default().merge(numbers);
        }
        for (place, guids) in other.guids {
            self.guids.entry(place).or_default().merge(guids);
        }
        self.ones.extend(other.ones);
        for (policy, count) in other.uses {
            *self.uses.entry(policy).or_default() += count;
        }
    }

    /// Lists at most [`LISTED_PER_COLUMN`] problems per column and counts the rest.
    fn cut(&mut self) {
        let mut listed: BTreeMap<String, u64> = BTreeMap::new();
        self.problems
            .sort_by(|one, other| (&one.rowid, &one.column).cmp(&(&other.rowid, &other.column)));
        self.problems.retain(|problem| {
            let count = listed.entry(problem.column.clone()).or_default();
            *count += 1;
            *count <= LISTED_PER_COLUMN
        });
        let beyond = self
            .wishes
            .iter()
            .filter(|(_, wish)| wish.count > LISTED_PER_COLUMN);
        self.unlisted = beyond
            .map(|(column, wish)| (column.clone(), wish.count - LISTED_PER_COLUMN))
            .collect();
    }
}

/// Scans all tables of the layout; the result is in its order.
pub fn scan(
    source: &Path,
    layout: &Layout,
    threads: usize,
    progress: &UnboundedSender<Progress>,
    cancel: &CancellationToken,
) -> Result<Vec<Scanned>, Error> {
    let work = pieces(source, layout)?;
    let world = layout.world();
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Scanned>> =
        Mutex::new(layout.tables.iter().map(|_| Scanned::default()).collect());
    let run = || -> Result<(), Error> {
        let connection = open(source)?;
        while let Some((table, span)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            let piece = Piece {
                connection: &connection,
                source,
                layout,
                table: &layout.tables[*table],
                span: *span,
                world,
            };
            let scanned = piece.scan(progress, cancel)?;
            results.lock().expect("BUG: a scan thread panicked")[*table].merge(scanned);
        }
        Ok(())
    };
    let outcomes: Vec<Result<(), Error>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(run)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("BUG: a scan thread panicked"))
            .collect()
    });
    outcomes.into_iter().collect::<Result<(), Error>>()?;
    let mut results = results.into_inner().expect("BUG: a scan thread panicked");
    results.iter_mut().for_each(Scanned::cut);
    Ok(results)
}

/// The rows of one table that a policy puts aside for their values.
pub fn put_aside(
    source: &Path,
    layout: &Layout,
    table: &TableLayout,
) -> Result<Vec<RowKey>, Error> {
    let connection = open(source)?;
    let piece = Piece {
        connection: &connection,
        source,
        layout,
        table,
        span: Span::ALL,
        world: layout.world(),
    };
    let (nobody, _) = tokio::sync::mpsc::unbounded_channel();
    let scanned = piece.scan(&nobody, &CancellationToken::new())?;
    Ok(scanned.behind)
}

/// Opens the source for one thread, with a small page cache: every page is read once.
pub fn open(source: &Path) -> Result<rusqlite::Connection, Error> {
    let source_error = |error| Error::Source {
        path: source.to_path_buf(),
        source: error,
    };
    let connection = crate::sqlite::open_read_only(source).map_err(source_error)?;
    connection
        .pragma_update(None, "cache_size", -1024)
        .map_err(read(source, "its settings"))?;
    crate::sqlite::stand_in_for_collations(&connection).map_err(read(source, "its collations"))?;
    Ok(connection)
}

/// Tables cut into ranges of rowids, largest tables first, so that no thread is left with a big one at the end.
fn pieces(source: &Path, layout: &Layout) -> Result<Vec<(usize, Span)>, Error> {
    let connection = open(source)?;
    let mut sized = Vec::new();
    for (place, table) in layout.tables.iter().enumerate() {
        let (rows, span) =
            estimate(&connection, &table.source).map_err(read(source, &table.source.name))?;
        sized.push((rows, place, span));
    }
    sized.sort_by_key(|(rows, place, _)| (std::cmp::Reverse(*rows), *place));
    let cut = |(rows, place, span)| {
        split(rows, span, SPAN_ROWS)
            .into_iter()
            .map(move |span| (place, span))
    };
    Ok(sized.into_iter().flat_map(cut).collect())
}

/// A span in pieces of about `rows_each` rows, 64 at most; one that says nothing about rows stays whole.
pub fn split(rows: u64, span: Span, rows_each: u64) -> Vec<Span> {
    let count = if span == Span::ALL {
        1
    } else {
        rows.div_ceil(rows_each.max(1)).clamp(1, 64)
    };
    if count == 1 {
        return vec![span];
    }
    let width = i128::from(span.to) - i128::from(span.from) + 1;
    let bound =
        |piece: u64| (i128::from(span.from) + width * i128::from(piece) / i128::from(count)) as i64;
    let last = |piece: u64| {
        if piece + 1 == count {
            span.to
        } else {
            bound(piece + 1) - 1
        }
    };
    (0..count)
        .map(|piece| Span {
            from: bound(piece),
            to: last(piece),
        })
        .collect()
}

/// A range of one table on its way through the conversion.
struct Piece<'s> {
    connection: &'s rusqlite::Connection,
    source: &'s Path,
    layout: &'s Layout,
    table: &'s TableLayout,
    span: Span,
    world: World,
}

impl Piece<'_> {
    fn scan(
        &self,
        progress: &UnboundedSender<Progress>,
        cancel: &CancellationToken,
    ) -> Result<Scanned, Error> {
        let name = &self.table.source.name;
        let columns: Vec<usize> = self
            .table
            .columns
            .iter()
            .map(|column| column.source)
            .collect();
        let reader = Reader::new(&self.table.source, &columns, self.layout.encoding);
        let mut statement = reader
            .prepare(self.connection, self.span, &Cursor::Start)
            .map_err(read(self.source, name))?;
        let mut rows = statement.raw_query();
        let mut encoder = Encoder::new(self.table, None);
        let mut found = Scanned {
            looks: vec![ColumnLook::default(); columns.len()],
            numbers: self.unstated(|converter| {
                let counts = matches!(
                    converter.kind,
                    Kind::Date | Kind::Timestamp(_) | Kind::TimestampTz(_) | Kind::Interval(_)
                );
                counts && converter.policy.epoch.is_none()
            }),
            guids: self.unstated(|converter| {
                converter.kind == Kind::Uuid && converter.policy.guid_bytes.is_none()
            }),
            ..Scanned::default()
        };
        let truths: Vec<usize> = self
            .unstated::<()>(|converter| converter.kind == Kind::Bool)
            .into_keys()
            .collect();
        let (mut scratch, mut buffer, mut splices) = (Vec::new(), Vec::new(), Vec::new());
        let began = Instant::now();
        while let Some(row) = rows.next().map_err(read(self.source, name))? {
            found.rows += 1;
            let row = reader
                .row(row, found.rows, &mut scratch)
                .map_err(read(self.source, name))?;
            for (column, look) in found.looks.iter_mut().enumerate() {
                look.see(row.value(column));
            }
            for (place, numbers) in &mut found.numbers {
                self.see_number(row.value(*place), *place, numbers);
            }
            for (place, guids) in &mut found.guids {
                if let ValueRef::Blob(bytes) = row.value(*place) {
                    guids.see(bytes);
                }
            }
            let one = |place: &&usize| matches!(row.value(**place), ValueRef::Integer(1));
            found.ones.extend(truths.iter().filter(one));
            buffer.clear();
            splices.clear();
            let mut stays = encoder.row(&row, &mut buffer, &mut splices) == Outcome::Aside;
            for aside in encoder.quarantined.drain(..) {
                self.see_aside(&mut found, &row, aside);
            }
            for problem in encoder.problems.drain(..) {
                stays |= !self.wish(&mut found, &row, problem);
            }
            if stays {
                found.behind.push(row.key());
            }
            if found.rows.is_multiple_of(STRIDE) {
                if cancel.is_cancelled() {
                    return Err(Error::Cancelled);
                }
                report(progress, name, &found, began, false);
            }
        }
        found.uses = encoder.take_uses();
        report(progress, name, &found, began, true);
        Ok(found)
    }

    /// An entry for every column of which something is not stated.
    fn unstated<T: Default>(&self, is: impl Fn(&Converter) -> bool) -> BTreeMap<usize, T> {
        let columns = self.table.columns.iter().enumerate();
        let found = columns.filter(|(_, column)| is(&column.converter));
        found.map(|(place, _)| (place, T::default())).collect()
    }

    /// Takes a number in that stands for itself.
    fn see_number(&self, value: ValueRef<'_>, place: usize, numbers: &mut Numbers) {
        let converter = &self.table.columns[place].converter;
        let value = as_text(value);
        let stands_for_another = stands_for::replacement(value, &converter.policy).is_some()
            || sentinels::meaning(value, converter, self.world).is_some();
        if let Some(digits) = units::digits(value).filter(|_| !stands_for_another) {
            numbers.see(digits, self.world);
        }
    }

    /// Takes in a row or a value that the transfer section has an answer for.
    fn see_aside(&self, found: &mut Scanned, row: &RowView<'_>, aside: Quarantined) {
        let mut columns = self.table.columns.iter();
        let place = columns.position(|column| self.table.source_name(column) == aside.column);
        let stated = place.and_then(|place| self.table.columns[place].converter.policy.on_problem);
        let action = match stated {
            Some(OnProblem::Null) => Action::Null,
            Some(OnProblem::Quarantine | OnProblem::Refuse) | None => Action::Aside,
        };
        let told = AsideRow {
            rowid: aside.row,
            value: place.map_or_else(String::new, |place| shown(row.value(place))),
            reason: aside.reason,
        };
        found.aside.see(&aside.column, action, told);
    }

    /// Lists the problem and finds out which settings, together, would let the value pass; whether there are any.
    fn wish(&self, found: &mut Scanned, row: &RowView<'_>, mut problem: Problem) -> bool {
        let mut settled = false;
        let wish = found.wishes.entry(problem.column.clone()).or_default();
        wish.count += 1;
        let place = self
            .table
            .columns
            .iter()
            .position(|column| self.table.source_name(column) == problem.column);
        match place {
            None => wish.hopeless += 1,
            Some(place) => {
                let converter = &self.table.columns[place].converter;
                let value = row.value(place);
                wish.habits.see(as_text(value), &converter.kind);
                let meant = sentinels::of(as_text(value), converter, self.world);
                let nothing = sentinels::nothing_of(as_text(value), converter, self.world);
                if matches!(value, ValueRef::Blob(_)) && (meant.is_some() || nothing.is_some()) {
                    *wish.policies.entry("bytes: text").or_default() += 1;
                }
                match (meant, nothing) {
                    (Some((text, by)), _) => {
                        settled = true;
                        let mut alone = crate::runbook::transfer::ColumnPolicy::default();
                        alone.replace(text.clone(), by.clone());
                        let pairs = alone.pairs().into_iter();
                        problem.policy = pairs.map(|(key, map)| format!("{key}: {map}")).next();
                        wish.values.entry(text).or_insert((by, 0)).1 += 1;
                    }
                    // What it stands for is told once the unit of the others is known.
                    (None, Some(text)) => {
                        settled = true;
                        *wish.habits.nothing.entry(text).or_default() += 1;
                        problem.policy = Some("values: ?".to_owned());
                    }
                    (None, None) => {
                        let (policies, stops) = match habits::is_one_beyond(value, &converter.kind)
                        {
                            true => (vec!["enum: ordinal"], None),
                            false if habits::is_list(value, converter) => (vec!["split: ,"], None),
                            false => settle(converter, value),
                        };
                        let passes = stops.is_none();
                        wish.hopeless += u64::from(!passes);
                        // What a statement mends does not stay behind, and neither does what hangs on it.
                        settled =
                            passes || mend::may_be(self.table, &self.table.columns[place], value);
                        if !passes {
                            wish.habits.lose(&problem.reason);
                            if matches!(value, ValueRef::Null) {
                                wish.see_null(&problem.rowid);
                            }
                            settled |= wish.habits.rewritten.see(value, &converter.kind);
                        }
                        if passes {
                            for policy in &policies {
                                *wish.policies.entry(*policy).or_default() += 1;
                            }
                            wish.show(&policies, row, place, converter);
                            problem.policy = (!policies.is_empty()).then(|| policies.join(", "));
                        }
                        // What it would need first settles nothing where it does not fit after that either.
                        if let Some(reason) = stops {
                            problem.reason = reason;
                            problem.policy = None;
                        }
                    }
                }
            }
        }
        if wish.count <= LISTED_PER_COLUMN {
            found.problems.push(problem);
        }
        settled
    }
}

/// A blob that is text as that text.
fn as_text(value: ValueRef<'_>) -> ValueRef<'_> {
    match value {
        ValueRef::Blob(bytes) if text::is_readable(bytes) => ValueRef::Text(bytes),
        other => other,
    }
}

/// Adds one wished setting after the other until the value passes, or nothing is left to wish for; then with the reason why it does not fit with
/// all of them.
fn settle(converter: &Converter, value: ValueRef<'_>) -> (Vec<&'static str>, Option<String>) {
    let mut tried = converter.clone();
    let mut policies = Vec::new();
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let reject = match tried.encode(value, &mut buffer) {
            Ok(_) => return (policies, None),
            Err(reject) => reject,
        };
        let Some(policy) = reject.policy.filter(|policy| !policies.contains(policy)) else {
            let reason = in_the_end(&reject, &policies);
            return (policies, Some(reason));
        };
        match policy.split_once(": ") {
            // Which unit is guessed from the whole column later; a value alone passes or not by that guess.
            Some(("epoch" | "bytes" | "time", "?")) => {
                policies.push(policy);
                return (policies, None);
            }
            Some(("zone", _)) => tried.zone = Some(Zone::UTC),
            Some((key, setting)) if tried.policy.set(key, setting).is_ok() => {}
            _ => {
                let reason = in_the_end(&reject, &policies);
                return (policies, Some(reason));
            }
        }
        policies.push(policy);
    }
}

/// Why a value does not fit, with the settings that are not enough for it.
fn in_the_end(reject: &Reject, policies: &[&'static str]) -> String {
    let settings: Vec<String> = policies
        .iter()
        .map(|policy| format!("`{policy}`"))
        .collect();
    match settings.is_empty() {
        true => reject.reason.to_string(),
        false => format!("{}, also with {}", reject.reason, settings.join(" and ")),
    }
}

fn report(
    progress: &UnboundedSender<Progress>,
    table: &str,
    found: &Scanned,
    began: Instant,
    done: bool,
) {
    let elapsed_ms = began.elapsed().as_millis().max(1) as u64;
    // Nobody listening is no reason to stop.
    let _ = progress.send(Progress::Rows {
        table: table.to_owned(),
        rows: found.rows,
        rows_total: found.rows,
        bytes: found.looks.iter().map(|look| look.bytes).sum(),
        rows_per_s: found.rows * 1000 / elapsed_ms,
        left_ms: None,
        done,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::transfer::ColumnPolicy;

    #[test]
    fn a_value_is_followed_to_the_end_of_what_it_needs() {
        let told = |kind: Kind, value: ValueRef<'_>| {
            let converter = Converter {
                kind,
                policy: ColumnPolicy::default(),
                zone: None,
                not_null: false,
                default: None,
            };
            settle(&converter, value)
        };
        let money = || Kind::Numeric(Some((10, 2)));
        let fits = |policies: &[&'static str]| (policies.to_vec(), None::<String>);
        assert_eq!(
            told(money(), ValueRef::Real(1.5)),
            fits(&["real: shortest"])
        );
        let both = ["real: shortest", "scale: round"];
        assert_eq!(told(money(), ValueRef::Real(1.125)), fits(&both));
        for (kind, value, needs, why) in [
            (
                money(),
                ValueRef::Real(123_456_789.25),
                &both[..1],
                "more digits than numeric(10,2) holds, also with `real: shortest`",
            ),
            (
                money(),
                ValueRef::Real(99_999_999.996),
                &both[..],
                "more digits than numeric(10,2) holds, also with `real: shortest` and `scale: round`",
            ),
            (
                Kind::Text(Some(3)),
                ValueRef::Text(b"ab\0cdef"),
                &["nul: strip"][..],
                "6 characters, varchar(3) holds 3, also with `nul: strip`",
            ),
            (
                Kind::Int4,
                ValueRef::Blob(b"AB"),
                &["bytes: text"][..],
                "text that is not plain digits, also with `bytes: text`",
            ),
            (
                Kind::Int8,
                ValueRef::Real(1e19),
                &both[..0],
                "outside the range of bigint",
            ),
        ] {
            let (policies, stops) = told(kind, value);
            assert_eq!(policies, needs, "{value:?}");
            assert_eq!(stops.as_deref(), Some(why), "{value:?}");
        }
    }
}
