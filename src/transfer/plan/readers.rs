//! Checks whose functions read tables that move. When a plan asks, those tables are empty, and while rows are loaded they are half full:
//! whether a row passes cannot be told beforehand. Only the text of the functions tells what they read.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;

use crate::ours::statements::{self, Name};
use crate::postgres::quoted;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::server;
use crate::transfer::layout::{Layout, structural};

/// Functions of the application's own, with their text.
const FUNCTIONS: &str = "
    SELECT p.oid, p.proname::text, coalesce(pg_get_function_sqlbody(p.oid), p.prosrc, '')
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prokind = 'f'
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
     ORDER BY p.oid";

/// Checks and the functions that they call.
const CALLS: &str = "
    SELECT k.conrelid, k.conname::text, d.refobjid, pg_get_constraintdef(k.oid)
      FROM pg_constraint k JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid AND d.refclassid = 'pg_proc'::regclass
     WHERE k.contype = 'c' AND k.conrelid = ANY ($1) ORDER BY k.conrelid, k.conname";

/// Marks the checks that cannot be asked about and tells of them.
pub(super) async fn mark(client: &Client, layout: &mut Layout) -> Result<(), Error> {
    let doing = || server("looking at the functions of the checks");
    let oids: Vec<u32> = layout.tables.iter().map(|table| table.target.oid).collect();
    let calls = client.query(CALLS, &[&oids]).await.map_err(doing())?;
    if calls.is_empty() {
        return Ok(());
    }
    let rows = client.query(FUNCTIONS, &[]).await.map_err(doing())?;
    let functions: BTreeMap<u32, (String, String)> = rows
        .iter()
        .map(|row| (row.get(0), (row.get(1), row.get(2))))
        .collect();
    let tables: Vec<String> = layout
        .tables
        .iter()
        .map(|table| table.target.name.clone())
        .collect();
    for call in calls {
        let (oid, check, function): (u32, String, u32) = (call.get(0), call.get(1), call.get(2));
        let Some((name, read)) = reads(&functions, function, &tables) else {
            continue;
        };
        let schema = layout.schema.clone();
        let mut all = layout.tables.iter_mut();
        let Some(table) = all.find(|table| table.target.oid == oid) else {
            continue;
        };
        if table.unasked.contains(&check) {
            continue;
        }
        let relation = Name::new(schema, table.target.name.as_str());
        let reason = format!(
            "the check {} calls {}, which reads {}, and that moves too: whether a row passes cannot be told before the load. {} in the target before the import, and under `after_import:` ALTER TABLE {} ADD CONSTRAINT {} {}",
            printable(&check, 80),
            printable(&name, 80),
            printable(&read, 80),
            statements::drop_constraint(&relation, &check),
            relation.quoted(),
            quoted(&check),
            call.get::<_, String>(3),
        );
        let source = table.source.name.clone();
        table.unasked.push(check);
        layout
            .warnings
            .push(structural(&source, "", printable(&reason, 900), None));
    }
    Ok(())
}

/// A function, or one that it calls, and the first of the tables that its text names.
fn reads(
    functions: &BTreeMap<u32, (String, String)>,
    from: u32,
    tables: &[String],
) -> Option<(String, String)> {
    let mut open = vec![from];
    let mut seen: BTreeSet<u32> = BTreeSet::new();
    while let Some(oid) = open.pop() {
        let Some((name, text)) = functions.get(&oid).filter(|_| seen.insert(oid)) else {
            continue;
        };
        if let Some(table) = tables.iter().find(|table| reads_from(text, table)) {
            return Some((name.clone(), table.clone()));
        }
        let called = functions.iter().filter(|(_, (name, _))| names(text, name));
        open.extend(called.map(|(oid, _)| *oid));
    }
    None
}

/// Whether a function's text reads from a table of this name.
fn reads_from(text: &str, table: &str) -> bool {
    let lower = text.to_lowercase();
    ["from", "join"].iter().any(|word| {
        lower.match_indices(word).any(|(at, _)| {
            let rest = lower[at + word.len()..].trim_start();
            let rest = rest.strip_prefix("only ").unwrap_or(rest).trim_start();
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ')' | ',' | ';' | '('));
            let named = &rest[..end.unwrap_or(rest.len())];
            let bare = named.rsplit('.').next().unwrap_or(named);
            bare.trim_matches('"') == table.to_lowercase()
        })
    })
}

/// Whether a text names a function.
fn names(text: &str, function: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(function).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + function.len()..].trim_start().chars().next();
        !before.is_some_and(is_part) && matches!(after, Some('(' | '"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_reads_the_tables_that_its_text_names() {
        let text = "SELECT EXISTS (SELECT FROM public.country WHERE code = $1)";
        assert!(reads_from(text, "country"));
        assert!(!reads_from(text, "countr"));
        assert!(!reads_from("SELECT $1 <> 'country'", "country"));
        assert!(reads_from("select 1 from a join \"B\" on true", "B"));
    }

    #[test]
    fn a_function_reads_what_those_that_it_calls_read() {
        let functions = BTreeMap::from([
            (1, ("outer".to_owned(), "SELECT inner_one($1)".to_owned())),
            (2, ("inner_one".to_owned(), "SELECT 1 FROM t".to_owned())),
        ]);
        let tables = ["t".to_owned()];
        let found = reads(&functions, 1, &tables);
        assert_eq!(found, Some(("inner_one".to_owned(), "t".to_owned())));
    }
}
