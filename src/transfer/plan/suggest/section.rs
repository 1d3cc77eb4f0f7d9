//! What is stated and what is wished for, written as YAML. Not in here: which settings are wished for (`super`).

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Addition, Additions, HARMLESS};
use crate::runbook::transfer::names::text_key;
use crate::runbook::transfer::{ColumnPolicy, Pattern, TargetRows, Transfer};
use crate::text::{printable, yaml_scalar};
use crate::transfer::layout::Layout;

/// Examples beside one line.
const EXAMPLES: usize = 2;
/// Values beside one line that become others.
const REPLACED: usize = 4;
/// Tables of which is told what they would lose.
const LOSING: usize = 20;

/// The whole section, ready to paste, as the value of `transfer:` in a file of its own; empty where there is nothing to add to what is
/// stated.
pub fn yaml(transfer: &Transfer, mut additions: Additions, layout: &Layout) -> String {
    additions.without_stated(transfer);
    additions.spread(transfer, layout);
    additions.explain_aside(layout);
    if additions.is_empty() {
        return String::new();
    }
    let mut out = String::new();
    write(transfer, &additions, layout, &mut out).expect("BUG: writing to a String cannot fail");
    out
}

fn write(
    transfer: &Transfer,
    additions: &Additions,
    layout: &Layout,
    out: &mut String,
) -> std::fmt::Result {
    match transfer.zone {
        Some(zone) => writeln!(out, "zone: {}", yaml_scalar(&zone.to_string()))?,
        None if additions.zone => writeln!(
            out,
            "zone: UTC  # what text without an offset means; check that it is true"
        )?,
        None => {}
    }
    let left = transfer.exclude.iter().map(Pattern::as_str);
    let left = left.chain(additions.exclude.iter().map(String::as_str));
    write_list("exclude", left, out)?;
    write_map("rename", &transfer.rename, &additions.rename, out)?;
    if transfer.target_rows == TargetRows::Replace || additions.replace {
        write_losses(&additions.losses, out)?;
        writeln!(out, "target_rows: replace")?;
    }
    let accepted = transfer.accept.iter().map(Pattern::as_str);
    let wished: Vec<String> = additions.accept.iter().map(|name| text_key(name)).collect();
    let accepted = accepted.chain(wished.iter().map(String::as_str));
    write_list("accept", accepted, out)?;
    write_map("sequences", &transfer.sequences, &additions.sequences, out)?;
    let fired = transfer.fire.iter().chain(&additions.fire);
    write_list("fire", fired.map(String::as_str), out)?;
    if transfer.refresh {
        writeln!(out, "refresh: true")?;
    }
    let statements = transfer.after_import.iter().map(String::as_str);
    write_list("after_import", statements, out)?;
    write_columns(transfer, &additions.by_pattern(layout), out)?;
    write_checks(transfer, out)?;
    write_behind(&additions.behind, out)
}

/// What `target_rows: replace` takes away, before it is pasted.
fn write_losses(losses: &[String], out: &mut String) -> std::fmt::Result {
    if losses.is_empty() {
        return Ok(());
    }
    writeln!(out, "# These rows of PostgreSQL would go:")?;
    for loss in losses.iter().take(LOSING) {
        writeln!(out, "#   {}", printable(loss, 500))?;
    }
    match losses.len().saturating_sub(LOSING) {
        0 => Ok(()),
        more => writeln!(out, "#   and some of {more} more tables"),
    }
}

fn write_list<'n>(
    key: &str,
    names: impl Iterator<Item = &'n str>,
    out: &mut String,
) -> std::fmt::Result {
    let mut written: Vec<&str> = Vec::new();
    for name in names {
        if written.contains(&name) {
            continue;
        }
        if written.is_empty() {
            writeln!(out, "{key}:")?;
        }
        writeln!(out, "  - {}", yaml_scalar(name))?;
        written.push(name);
    }
    Ok(())
}

fn write_map(
    key: &str,
    stated: &BTreeMap<String, String>,
    added: &BTreeMap<String, String>,
    out: &mut String,
) -> std::fmt::Result {
    let all: BTreeMap<_, _> = added.iter().chain(stated).collect();
    if !all.is_empty() {
        writeln!(out, "{key}:")?;
    }
    all.into_iter()
        .try_for_each(|(from, to)| writeln!(out, "  {}: {}", yaml_scalar(from), yaml_scalar(to)))
}

/// What could be left behind, last and as comments: nobody loses rows by pasting.
fn write_behind(behind: &BTreeMap<String, String>, out: &mut String) -> std::fmt::Result {
    if behind.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "# Only if they may be lost: under `exclude:`, each without its #"
    )?;
    behind
        .iter()
        .try_for_each(|(name, loses)| writeln!(out, "#  - {}  # {loses}", yaml_scalar(name)))
}

fn write_columns(
    transfer: &Transfer,
    additions: &[(String, Addition)],
    out: &mut String,
) -> std::fmt::Result {
    if transfer.columns.is_empty() && additions.is_empty() {
        return Ok(());
    }
    writeln!(out, "columns:")?;
    let stated = transfer.columns.iter().map(|(pattern, policy)| {
        let of = additions.iter().find(|(name, _)| name == pattern.as_str());
        (
            pattern.as_str(),
            policy.clone(),
            of.map(|(_, addition)| addition),
        )
    });
    let is_stated = |name: &str| {
        transfer
            .columns
            .iter()
            .any(|(pattern, _)| pattern.as_str() == name)
    };
    let new = additions.iter().filter(|(name, _)| !is_stated(name));
    let (idle, needed): (Vec<_>, Vec<_>) = new.partition(|(_, addition)| is_idle(addition));
    let needed = needed
        .into_iter()
        .map(|(name, addition)| (name.as_str(), ColumnPolicy::default(), Some(addition)));
    for (name, mut policy, addition) in stated.chain(needed) {
        if let Some(addition) = addition {
            policy.overlay(&addition.policy);
        }
        let comment = addition.map(comment).unwrap_or_default();
        writeln!(out, "{}{comment}", policy.line(name))?;
    }
    if !idle.is_empty() {
        writeln!(out, "  {IDLE}")?;
    }
    idle.into_iter()
        .try_for_each(|(name, addition)| writeln!(out, "{}", addition.policy.line(name)))
}

/// What stands above settings that no value needs.
const IDLE: &str = "# None that needs these yet; columns of the same types do:";

/// Whether a line is there only because a column of the same types needs its settings.
fn is_idle(addition: &Addition) -> bool {
    let settings = addition.policy.pairs();
    let is_spread = settings.iter().all(|(key, _)| HARMLESS.contains(key));
    let counts = addition.values.values();
    is_spread && addition.rows == 0 && addition.examples.is_empty() && counts.sum::<u64>() == 0
}

/// How many columns and values a line covers, and what it makes of some of them.
fn comment(addition: &Addition) -> String {
    let mut comment = format!("  # {}", covered(addition));
    if addition.columns > 1 {
        comment = format!("{comment} in {}", plural(addition.columns, "column"));
    }
    for example in addition.examples.iter().take(EXAMPLES) {
        comment.push_str(&format!("; {}", printable(example, 100)));
    }
    for replaced in addition.replaced.iter().take(REPLACED) {
        comment.push_str(&format!("; {}", printable(replaced, 100)));
    }
    if !addition.advice.is_empty() {
        comment.push_str(&format!("; {}", printable(&addition.advice, 300)));
    }
    if !addition.aside.is_empty() {
        comment.push_str(&format!("; {}", printable(&addition.aside, 300)));
    }
    comment
}

fn plural(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

/// The values and rows that need the settings: once where all need all of them, else for each setting that something needs.
fn covered(addition: &Addition) -> String {
    let needs = |key: &str| {
        let values = addition.values.get(key).copied().unwrap_or_default();
        // Rules of the target's are settled by what becomes of the row or the value, and by no other setting.
        let rows = if key == "on_problem" {
            addition.rows
        } else {
            0
        };
        match (values, rows) {
            (0, 0) => None,
            (values, 0) => Some(plural(values, "value")),
            (0, rows) => Some(plural(rows, "row")),
            (values, rows) => Some(format!(
                "{} and {}",
                plural(values, "value"),
                plural(rows, "row")
            )),
        }
    };
    let settings = addition.policy.pairs();
    let each = settings.iter().map(|(key, _)| (*key, needs(key)));
    let each: Vec<(&str, Option<String>)> = each.collect();
    let first = each.first().and_then(|(_, first)| first.clone());
    match first {
        Some(first) if each.iter().all(|(_, other)| other.as_ref() == Some(&first)) => first,
        Some(_) | None => {
            let said = each
                .into_iter()
                .filter_map(|(key, said)| Some(format!("{key}: {}", said?)));
            match said.collect::<Vec<String>>() {
                said if said.is_empty() => "none that needs it yet".to_owned(),
                said => said.join(", "),
            }
        }
    }
}

fn write_checks(transfer: &Transfer, out: &mut String) -> std::fmt::Result {
    if !transfer.lists.is_empty() {
        writeln!(out, "lists:")?;
    }
    for list in &transfer.lists {
        let order: Vec<String> = list
            .order_by
            .iter()
            .map(|column| yaml_scalar(column))
            .collect();
        write!(
            out,
            "  - {{ name: {}, table: {}, order_by: [{}]",
            yaml_scalar(&list.name),
            yaml_scalar(&list.table),
            order.join(", ")
        )?;
        if let Some(limit) = list.limit {
            write!(out, ", limit: {limit}")?;
        }
        writeln!(out, " }}")?;
    }
    if !transfer.slugs.is_empty() {
        writeln!(out, "slugs:")?;
    }
    for slug in &transfer.slugs {
        let (table, column) = (yaml_scalar(&slug.table), yaml_scalar(&slug.column));
        writeln!(
            out,
            "  - {{ table: {table}, column: {column}, trim: {}, ignore_case: {} }}",
            slug.trim, slug.ignore_case
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Addition, Additions};
    use super::{comment, yaml};
    use crate::runbook::parse_transfer;
    use crate::runbook::transfer::{Pattern, Transfer};
    use crate::transfer::layout::Layout;

    #[test]
    fn nothing_is_listed_twice() {
        let stated = Transfer {
            exclude: ["History", "Old", "History"].map(Pattern::new).to_vec(),
            ..Transfer::default()
        };
        let mut additions = Additions::default();
        additions.add("Unused", "", "exclude: Unused");
        let section = yaml(&stated, additions, &Layout::default());
        assert_eq!(section, "exclude:\n  - History\n  - Old\n  - Unused\n");
    }

    #[test]
    fn names_with_dots_and_stars_come_back_as_they_are() {
        let mut additions = Additions::default();
        additions.add("a.b", "x*", "fraction: round");
        additions.add("a.b", "", "on_problem: quarantine");
        additions.add("t", "", "accept: next id x*(y)");
        let section = yaml(&Transfer::default(), additions, &Layout::default());
        let pasted = parse_transfer("pasted", &section).expect("a valid section");
        assert!(pasted.column("a.b", "x*").fraction.is_some(), "{section}");
        assert!(pasted.column("a.b", "xy").fraction.is_none(), "{section}");
        assert!(pasted.column("a.b", "xy").on_problem.is_some(), "{section}");
        assert!(pasted.column("a", "b.x*").on_problem.is_none(), "{section}");
        assert!(pasted.accepts("next id x*(y)"), "{section}");
        assert!(!pasted.accepts("next id xz(y)"), "{section}");
    }

    #[test]
    fn rows_of_postgresql_that_would_go_are_named() {
        let additions = Additions {
            replace: true,
            losses: vec!["1 of birds, such as (1,stork)".to_owned()],
            ..Additions::default()
        };
        let section = yaml(&Transfer::default(), additions, &Layout::default());
        assert_eq!(
            section,
            "# These rows of PostgreSQL would go:\n#   1 of birds, such as (1,stork)\ntarget_rows: replace\n"
        );
    }

    #[test]
    fn values_that_become_others_stand_beside_two_that_do_not() {
        let mut addition = Addition {
            examples: ["1 → a", "2 → b", "3 → c"].map(str::to_owned).to_vec(),
            replaced: vec!["1 × 9 → infinity".to_owned()],
            ..Addition::default()
        };
        addition.policy.set("epoch", "ms").expect("a setting");
        addition.values.insert("epoch".to_owned(), 5);
        assert_eq!(
            comment(&addition),
            "  # 5 values; 1 → a; 2 → b; 1 × 9 → infinity"
        );
    }

    #[test]
    fn a_line_says_what_each_of_its_settings_covers() {
        let said = |settings: &[(&str, &str, u64)], rows| {
            let mut addition = Addition {
                columns: 1,
                rows,
                ..Addition::default()
            };
            for (key, value, values) in settings {
                addition.policy.set(key, value).expect("a setting");
                addition.values.insert((*key).to_owned(), *values);
            }
            // What a setting of another line needs is no business of this one.
            addition.values.insert("zone".to_owned(), 9);
            comment(&addition)
        };
        let aside = ("on_problem", "quarantine");
        let aside = |values: u64| (aside.0, aside.1, values);
        assert_eq!(said(&[("fraction", "round", 2)], 0), "  # 2 values");
        assert_eq!(said(&[aside(0)], 1), "  # 1 row");
        assert_eq!(said(&[aside(1)], 3), "  # 1 value and 3 rows");
        assert_eq!(said(&[aside(0)], 0), "  # none that needs it yet");
        let both = |values: u64| [("fraction", "round", values), aside(1)];
        assert_eq!(said(&both(1), 0), "  # 1 value");
        let said = said(&both(3), 0);
        assert!(said.contains("fraction: 3 values"), "{said}");
        assert!(said.contains("on_problem: 1 value"), "{said}");
    }

    #[test]
    fn beside_quarantine_stands_that_whole_rows_stay_behind() {
        let mut additions = Additions::default();
        additions.add("t", "a", "on_problem: quarantine");
        additions.add("t", "b", "fraction: round");
        let section = yaml(&Transfer::default(), additions, &Layout::default());
        assert_eq!(
            section,
            "columns:\n  t.a: { on_problem: quarantine }  # none that needs it yet; the whole row stays behind\n  \
             # None that needs these yet; columns of the same types do:\n  t.b: { fraction: round }\n"
        );
    }
    #[test]
    fn settings_that_values_need_come_before_the_others() {
        let mut additions = Additions::default();
        additions.add("t", "a", "real: shortest");
        additions.add("t", "b", "real: shortest");
        additions.explain("t", "b", "real", 2, Vec::new());
        additions.add("t", "c", "real: shortest");
        let section = yaml(&Transfer::default(), additions, &Layout::default());
        assert_eq!(
            section,
            "columns:\n  t.b: { real: shortest }  # 2 values\n  # None that needs these yet; columns of the same types do:\n  \
             t.a: { real: shortest }\n  t.c: { real: shortest }\n"
        );
        let pasted = parse_transfer("pasted", &section).expect("a valid section");
        assert!(pasted.column("t", "c").real.is_some(), "{section}");
    }
}
