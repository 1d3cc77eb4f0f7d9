//! What the application knows of its writes: each transaction with what it changed, in the order that the server has given them, and what all
//! of them together have made of the first rows.

use std::collections::BTreeMap;

use super::world::{ACCOUNTS, ENTRIES, Row, key_of};

/// All rows, by table and key.
pub type State = BTreeMap<(usize, Vec<String>), Row>;

/// What a statement has done, as the server told it.
#[derive(Debug)]
pub enum Change {
    /// The row is so now.
    Put(usize, Row),
    /// The row of this key is gone; an account's entries with it.
    Gone(usize, Vec<String>),
    /// The row of this key is so now, its key included; an account's entries follow it.
    Moved(usize, Vec<String>, Row),
    /// All rows are gone; with the accounts all entries.
    Emptied(usize),
}

/// A transaction that was to be committed.
#[derive(Debug)]
pub struct Done {
    /// Its turn, taken while it held its locks: of two that wanted the same row, the later one was committed later.
    pub turn: i64,
    /// Its number on the server.
    pub xid: u64,
    /// When the server's answer had come, by the boot clock; `None` where none came.
    pub acked_ms: Option<i64>,
    pub changes: Vec<Change>,
}

/// What these transactions make of the first rows.
pub fn after(first: &State, mut done: Vec<&Done>) -> State {
    done.sort_by_key(|one| one.turn);
    let mut state = first.clone();
    for one in done {
        for change in &one.changes {
            apply(&mut state, change);
        }
    }
    state
}

fn apply(state: &mut State, change: &Change) {
    match change {
        Change::Put(table, row) => {
            state.insert((*table, key_of(*table, row)), row.clone());
        }
        Change::Gone(table, key) => {
            state.remove(&(*table, key.clone()));
            if *table == ACCOUNTS {
                state.retain(|(of, entry), _| !(*of == ENTRIES && entry[0] == key[0]));
            }
        }
        Change::Moved(table, key, row) => {
            state.remove(&(*table, key.clone()));
            let new = key_of(*table, row);
            if *table == ACCOUNTS {
                follow(state, &key[0], &new[0]);
            }
            state.insert((*table, new), row.clone());
        }
        Change::Emptied(table) => {
            let goes = |of: usize| of == *table || (*table == ACCOUNTS && of == ENTRIES);
            state.retain(|(of, _), _| !goes(*of));
        }
    }
}

/// The entries of an account are another's.
fn follow(state: &mut State, from: &str, to: &str) {
    let is_its = |(of, key): &&(usize, Vec<String>)| *of == ENTRIES && key[0] == from;
    let keys: Vec<_> = state.keys().filter(is_its).cloned().collect();
    for key in keys {
        let mut entry = state.remove(&key).expect("it was just there");
        entry[0] = Some(to.to_owned());
        state.insert((ENTRIES, key_of(ENTRIES, &entry)), entry);
    }
}

/// Whether a snapshot, as `pg_current_snapshot()::text` has it, sees a transaction that was committed.
pub fn sees(snapshot: &str, xid: u64) -> bool {
    let mut parts = snapshot.split(':');
    let number = |text: Option<&str>| -> u64 {
        let text = text.expect("three parts");
        text.parse().expect("a transaction's number")
    };
    let (_, xmax) = (number(parts.next()), number(parts.next()));
    let open = parts.next().expect("three parts").split(',');
    let mut open = open.filter(|text| !text.is_empty());
    xid < xmax && !open.any(|text| number(Some(text)) == xid)
}
