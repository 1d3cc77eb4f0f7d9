//! One row after another into PostgreSQL's binary COPY, with problems collected and policies counted.
//!
//! Knows nothing of connections, batches or threads.

use std::collections::{BTreeMap, HashMap};

use crate::runbook::transfer::OnProblem;
use crate::transfer::convert::{Class, Reject, Use, put_null, shown};
use crate::transfer::layout::{ColumnLayout, TableLayout};
use crate::transfer::page;
use crate::transfer::plan::{Problem, RowKey};
use crate::transfer::reader::RowView;

/// What a binary COPY begins with: signature, no flags, no extension.
pub const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with. A stream without it would succeed all the same, which is why counts are compared.
pub const COPY_TRAILER: [u8; 2] = (-1i16).to_be_bytes();

/// What a NULL has for its length in the stream.
const NULL_LENGTH: [u8; 4] = (-1i32).to_be_bytes();

/// PostgreSQL builds a row in one piece of memory.
const MAX_ROW_BYTES: usize = 0x3fff_ffff - 8192;

/// A large value that belongs into the stream at `at`, right after the bytes written so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splice {
    /// Offset in the buffer.
    pub at: usize,
    /// Which of the moving columns.
    pub column: usize,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its bytes are in the buffer.
    Encoded,
    /// A policy put it aside; the buffer is as before.
    Aside,
    /// It has problems, which were collected; the buffer is as before.
    Refused,
}

/// A row or value that a policy put aside.
#[derive(Debug, Clone, PartialEq)]
pub struct Quarantined {
    pub row: RowKey,
    /// The column at fault; empty for a rule of the whole row.
    pub column: String,
    pub reason: String,
    /// The whole row as JSON, blobs as hexadecimal digits.
    pub content: serde_json::Value,
}

/// Rows that the server's own rules (keys, checks, partitions) will refuse, found beforehand, with what is done about each fault.
pub type Foreseen = HashMap<RowKey, Vec<Fault>>;

/// One fault of a row that the transfer section has an answer for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The source column; empty for a rule of the whole row.
    pub column: String,
    pub reason: String,
    /// The value becomes NULL; otherwise the row is put aside.
    pub nulls: bool,
    /// The transfer section says so. Otherwise it only counts for what is asked about other rows.
    pub is_stated: bool,
}

impl Fault {
    /// A row that stays behind for its values; the encoder finds out which, and says so itself.
    pub fn of_values() -> Self {
        Self {
            column: String::new(),
            reason: String::new(),
            nulls: false,
            is_stated: false,
        }
    }
}

/// Encodes the rows of one table.
pub struct Encoder<'l> {
    layout: &'l TableLayout,
    foreseen: Option<&'l Foreseen>,
    /// Problems since they were last taken.
    pub problems: Vec<Problem>,
    /// Rows and values put aside since they were last taken.
    pub quarantined: Vec<Quarantined>,
    /// Uses of policies per column since they were last taken.
    uses: Vec<[u64; Use::NAMES.len()]>,
    /// Rows may be too large for a page.
    wide: Option<page::Measure>,
}

impl<'l> Encoder<'l> {
    /// An encoder; `foreseen` are rows to put aside whatever their values.
    pub fn new(layout: &'l TableLayout, foreseen: Option<&'l Foreseen>) -> Self {
        let uses = vec![[0; Use::NAMES.len()]; layout.columns.len()];
        Self {
            layout,
            foreseen: foreseen.filter(|rows| !rows.is_empty()),
            problems: Vec::new(),
            quarantined: Vec::new(),
            uses,
            wide: page::Measure::of(layout),
        }
    }

    /// Appends one row to `out`. Large values are left to `splices`.
    pub fn row(
        &mut self,
        row: &RowView<'_>,
        out: &mut Vec<u8>,
        splices: &mut Vec<Splice>,
    ) -> Outcome {
        let faults = self.foreseen.and_then(|rows| rows.get(&row.key()));
        let faults: &'l [Fault] = faults.map_or(&[], Vec::as_slice);
        if let Some(fault) = faults.iter().find(|fault| !fault.nulls) {
            self.put_aside(row, fault.column.clone(), fault.reason.clone());
            return Outcome::Aside;
        }
        let (start, splices_start) = (out.len(), splices.len());
        let mut outcome = Outcome::Encoded;
        let mut spliced_bytes = 0;
        if let Some(wide) = &mut self.wide {
            wide.clear();
        }
        out.extend_from_slice(&(self.layout.columns.len() as i16).to_be_bytes());
        for (place, column) in self.layout.columns.iter().enumerate() {
            let value = row.value(place);
            let field_start = out.len();
            if let Some(fault) = fault_of(faults, self.layout.source_name(column)) {
                self.uses[place][Use::Nulled as usize] += 1;
                self.put_aside(row, fault.column.clone(), fault.reason.clone());
                put_null(out);
                continue;
            }
            match column.converter.encode(value, out) {
                Ok(field) => {
                    if field.uses.0 != 0 {
                        count(&mut self.uses[place], field.uses.0);
                    }
                    let tail_bytes = field.tail.map_or(0, <[u8]>::len);
                    // After the length; a NULL has no more.
                    let bytes = out.len() - field_start - 4 + tail_bytes;
                    let is_null = out[field_start..].starts_with(&NULL_LENGTH);
                    if let Some(wide) = self.wide.as_mut().filter(|_| !is_null) {
                        wide.take(place, &column.converter.kind, bytes);
                    }
                    if field.tail.is_some() {
                        spliced_bytes += tail_bytes;
                        splices.push(Splice {
                            at: out.len(),
                            column: place,
                        });
                    }
                }
                Err(reject) => {
                    out.truncate(field_start);
                    self.refused(row, place, &reject, &mut outcome);
                    put_null(out);
                }
            }
        }
        if outcome == Outcome::Encoded {
            let in_page = self.wide.as_ref().map_or(0, page::Measure::needed);
            let too_large = if out.len() - start + spliced_bytes > MAX_ROW_BYTES {
                Some("the row is larger than the 1 GiB that PostgreSQL can build".to_owned())
            } else if in_page > page::ROOM {
                let room = page::ROOM;
                Some(format!(
                    "the row needs {in_page} bytes or more in a page of PostgreSQL's, which has room for {room}"
                ))
            } else {
                None
            };
            if let Some(reason) = too_large {
                outcome = self.refused_whole(row, reason);
            }
        }
        if outcome != Outcome::Encoded {
            out.truncate(start);
            splices.truncate(splices_start);
        }
        outcome
    }

    /// A value did not fit: what the policy says about that.
    fn refused(&mut self, row: &RowView<'_>, place: usize, reject: &Reject, outcome: &mut Outcome) {
        let column = &self.layout.columns[place];
        let name = self.layout.source_name(column);
        match column.converter.policy.on_problem {
            Some(OnProblem::Quarantine) => {
                if *outcome == Outcome::Encoded {
                    *outcome = Outcome::Aside;
                    self.put_aside(row, name.to_owned(), reject.reason.to_string());
                }
                self.uses[place][Use::Quarantined as usize] += 1;
            }
            Some(OnProblem::Null) if !column.converter.not_null => {
                self.uses[place][Use::Nulled as usize] += 1;
                self.put_aside(row, name.to_owned(), reject.reason.to_string());
            }
            Some(OnProblem::Refuse | OnProblem::Null) | None => {
                *outcome = Outcome::Refused;
                self.problems.push(Problem {
                    table: self.layout.source.name.clone(),
                    column: name.to_owned(),
                    rowid: row.key(),
                    value: shown(row.value(place)),
                    reason: reject.reason.to_string(),
                    policy: reject.policy.map(str::to_owned),
                });
            }
        }
    }

    /// The row as a whole does not fit: put aside where the policy of every column says so.
    fn refused_whole(&mut self, row: &RowView<'_>, reason: String) -> Outcome {
        let aside = |column: &ColumnLayout| {
            column.converter.policy.on_problem == Some(OnProblem::Quarantine)
        };
        if self.layout.columns.iter().all(aside) {
            self.put_aside(row, String::new(), reason);
            return Outcome::Aside;
        }
        self.problems.push(Problem {
            table: self.layout.source.name.clone(),
            column: String::new(),
            rowid: row.key(),
            value: String::new(),
            reason,
            policy: None,
        });
        Outcome::Refused
    }

    fn put_aside(&mut self, row: &RowView<'_>, column: String, reason: String) {
        let content = self.layout.columns.iter().enumerate();
        let content = content.map(|(place, column)| {
            (
                self.layout.source_name(column).to_owned(),
                as_json(row.value(place)),
            )
        });
        let content = serde_json::Value::Object(content.collect());
        self.quarantined.push(Quarantined {
            row: row.key(),
            column,
            reason,
            content,
        });
    }

    /// The uses of policies since the last call, by `column: policy`.
    pub fn take_uses(&mut self) -> BTreeMap<String, u64> {
        let mut named = BTreeMap::new();
        for (column, counts) in self.layout.columns.iter().zip(&mut self.uses) {
            for (policy, count) in Use::NAMES
                .iter()
                .zip(counts.iter_mut())
                .filter(|(_, count)| **count > 0)
            {
                named.insert(
                    format!("{}: {policy}", self.layout.source_name(column)),
                    std::mem::take(count),
                );
            }
        }
        named
    }
}

/// The fault by which this column loses its value.
fn fault_of<'f>(faults: &'f [Fault], column: &str) -> Option<&'f Fault> {
    faults.iter().find(|fault| fault.column == column)
}

fn count(counts: &mut [u64; Use::NAMES.len()], mut bits: u32) {
    while bits != 0 {
        counts[bits.trailing_zeros() as usize] += 1;
        bits &= bits - 1;
    }
}

/// A value for the quarantine: whole, with its storage class where JSON has none of its own.
fn as_json(value: rusqlite::types::ValueRef<'_>) -> serde_json::Value {
    use rusqlite::types::ValueRef;
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    match value {
        ValueRef::Null => serde_json::Value::Null,
        ValueRef::Integer(integer) => integer.into(),
        ValueRef::Real(real) => serde_json::Number::from_f64(real).map_or_else(
            || serde_json::json!({ "real": format!("{real:?}") }),
            serde_json::Value::Number,
        ),
        ValueRef::Blob(bytes) => serde_json::json!({ "blob": hex(bytes) }),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            // The quarantine is PostgreSQL's, which has no NUL in text.
            Ok(text) if !bytes.contains(&0) => text.into(),
            _ => serde_json::json!({ "text": hex(bytes) }),
        },
    }
}

/// How the values of one column look, for guesses and for telling which unique keys survive.
#[derive(Debug, Clone, Copy, Default)]
pub struct ColumnLook {
    /// Values per storage class, in the order of [`Class`].
    pub classes: [u64; 5],
    /// Smallest and largest number, where there is one (REAL cut to whole).
    pub numbers: Option<(i64, i64)>,
    /// Bytes of text and blobs, eight per number.
    pub bytes: u64,
    /// Bytes of the largest value.
    pub largest: u64,
}

impl ColumnLook {
    /// Takes one value in.
    pub fn see(&mut self, value: rusqlite::types::ValueRef<'_>) {
        use rusqlite::types::ValueRef;
        self.classes[Class::of(value) as usize] += 1;
        let (size, number) = match value {
            ValueRef::Null => (0, None),
            ValueRef::Integer(integer) => (8, Some(integer)),
            ValueRef::Real(real) => (8, Some(real as i64)),
            ValueRef::Text(bytes) => {
                let number = if bytes.len() < 20 {
                    std::str::from_utf8(bytes)
                        .ok()
                        .and_then(|text| text.parse().ok())
                } else {
                    None
                };
                (bytes.len() as u64, number)
            }
            ValueRef::Blob(bytes) => (bytes.len() as u64, None),
        };
        self.bytes += size;
        self.largest = self.largest.max(size);
        if let Some(number) = number {
            let (low, high) = self.numbers.unwrap_or((number, number));
            self.numbers = Some((low.min(number), high.max(number)));
        }
    }

    /// Adds what another reader saw.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.classes.iter_mut().zip(other.classes) {
            *mine += theirs;
        }
        self.bytes += other.bytes;
        self.largest = self.largest.max(other.largest);
        self.numbers = match (self.numbers, other.numbers) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (mine, theirs) => mine.or(theirs),
        };
    }

    /// Whether all values but NULL are of this class.
    pub fn only(&self, class: Class) -> bool {
        self.classes.iter().enumerate().all(|(place, count)| {
            *count == 0 || place == Class::Null as usize || place == class as usize
        })
    }
}
