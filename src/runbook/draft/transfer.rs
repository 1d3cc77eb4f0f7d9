//! The draft's `transfer` section: by the file alone, or as `plan` completes it with the target. Not in here: planning (`transfer::plan`).

use std::collections::BTreeMap;

use super::{Survey, word, words};
use crate::runbook::transfer::names::part;
use crate::runbook::transfer::{Loss, Transfer};
use crate::text::{printable, yaml_scalar};

const ZONE: &str = "zone: UTC                             # what a time without an offset means; check that it is true\n";

/// What a file alone gives, as the value of `transfer:`: with it a plan begins.
pub fn settings(survey: &Survey) -> String {
    format!("{ZONE}{}{}", exclude(survey), slugs(survey))
}

/// Takes in what a section that `plan` suggests says behind its columns, by pattern: the next one says it only of what is new there.
pub fn remember(section: &str, transfer: &Transfer, told: &mut BTreeMap<String, String>) {
    for (pattern, policy) in &transfer.columns {
        let line = policy.line(pattern.as_str());
        let mut behind = section
            .lines()
            .filter_map(|l| l.strip_prefix(line.as_str()));
        let Some(comment) = behind.next().and_then(|rest| rest.strip_prefix("  # ")) else {
            continue;
        };
        let all = told.entry(pattern.as_str().to_owned()).or_default();
        if !all.is_empty() {
            all.push_str("; ");
        }
        all.push_str(comment);
    }
}

/// A section that `plan` suggests as a draft takes it over: in the place of every setting that loses something stands a `<…>`, with what would
/// be lost and how many. With the number of columns and patterns that have such a place.
pub fn taken_over(
    section: &str,
    transfer: &Transfer,
    told: &BTreeMap<String, String>,
) -> (String, u64) {
    let (mut out, mut open) = (String::new(), 0);
    for line in section.lines() {
        let column = transfer.columns.iter().find(|(pattern, policy)| {
            let begin = policy.line(pattern.as_str());
            line.strip_prefix(begin.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("  # "))
        });
        match column {
            Some((pattern, policy)) => {
                let losses = policy.losses();
                open += u64::from(!losses.is_empty());
                let comment = told.get(pattern.as_str()).map(String::as_str);
                let pairs = policy.pairs();
                out.push_str(&line_of(pattern.as_str(), &pairs, &losses, comment));
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    (out, open)
}

fn line_of(
    name: &str,
    pairs: &[(&'static str, String)],
    losses: &[Loss],
    comment: Option<&str>,
) -> String {
    let mut settings = Vec::new();
    let mut remarks: Vec<String> = comment.map(str::to_owned).into_iter().collect();
    for (key, value) in pairs {
        let key_shown = yaml_scalar(key);
        match losses.iter().find(|loss| loss.key == *key) {
            Some(loss) => {
                settings.push(format!("{key_shown}: {}", loss.open));
                let value = printable(value, 200);
                remarks.push(format!("by `{key}: {value}` {}", loss.lost));
            }
            None => settings.push(format!("{key_shown}: {value}")),
        }
    }
    let remarks = match remarks.is_empty() {
        true => String::new(),
        false => format!("  # {}", remarks.join("; ")),
    };
    format!(
        "  {}: {{ {} }}{remarks}",
        yaml_scalar(name),
        settings.join(", ")
    )
}

pub(super) fn section(survey: &Survey) -> String {
    let mut out = "\
# `cutover plan` names every value that does not fit PostgreSQL, and prints what belongs in here to settle it.
transfer:
"
    .to_owned();
    match survey
        .target
        .as_ref()
        .filter(|seen| !seen.transfer.is_empty())
    {
        Some(seen) => out.push_str(&indented(&seen.transfer)),
        None => {
            out.push_str(&indented(ZONE));
            out.push_str(replace(survey));
            out.push_str(&indented(&exclude(survey)));
            out.push_str(&indented(&slugs(survey)));
        }
    }
    out.push_str(&lists(survey));
    out.push('\n');
    out
}

/// Nothing where the target was seen: `plan` has said whether it is needed.
fn replace(survey: &Survey) -> &'static str {
    match (&survey.target, &survey.history) {
        (Some(_), _) => "",
        (None, Some((framework, _))) if framework.name == "Django" => {
            "  # target_rows: replace                # its migrations fill tables of their own, such as auth_permission: this empties them first\n"
        }
        (None, _) => {
            "  # target_rows: replace                # where the migrations put rows into tables that are moved\n"
        }
    }
}

fn indented(text: &str) -> String {
    let lines = text.lines();
    lines.map(|line| format!("  {line}\n")).collect()
}

fn exclude(survey: &Survey) -> String {
    if survey.stay.is_empty() {
        return String::new();
    }
    let stay: Vec<String> = survey.stay.iter().map(|name| part(name)).collect();
    let stay = words(stay.iter().map(String::as_str));
    format!("exclude: {stay}\n")
}

fn slugs(survey: &Survey) -> String {
    let mut out = String::new();
    for (n, (seen, slug)) in survey.slugs().enumerate() {
        if n == 0 {
            out.push_str("slugs:                                # each must lead to the same record on both sides\n");
        }
        let ignore_case = match seen.caseless.iter().any(|name| name == slug) {
            true => ", ignore_case: true",
            false => "",
        };
        out.push_str(&format!(
            "  - {{ table: {}, column: {}{ignore_case} }}\n",
            word(&seen.name),
            word(slug)
        ));
    }
    out
}

/// An example alone: in which order the application shows its lists nobody can know, and PostgreSQL's collation may be another.
fn lists(survey: &Survey) -> String {
    let (critical, _) = survey.critical();
    let example = critical.iter().find(|seen| !seen.key.is_empty());
    let example = example.map_or_else(String::new, |seen| {
        let name = printable(&seen.name, 60);
        let key = seen.key.iter().map(String::as_str);
        format!(
            "  #   - {{ name: newest, table: {}, order_by: {}, limit: 200 }}\n",
            word(&name),
            printable(&words(key), 100)
        )
    });
    let head = "  # The orders in which the application shows its core lists, compared row by row on both sides (T4c, V4):\n  # lists:\n";
    format!("{head}{example}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::parse_transfer;

    #[test]
    fn what_loses_something_is_an_open_place() {
        let section = "zone: UTC\ncolumns:\n  log.at: { epoch: ms }  # 3 values\n  log.day: { epoch: s, time: drop }\n  \
                       log.text: { on_problem: quarantine }  # 1 value\n";
        let transfer = parse_transfer("suggested", section).expect("a valid section");
        let mut told = BTreeMap::new();
        remember(section, &transfer, &mut told);
        assert_eq!(told.len(), 2, "{told:?}");
        let (draft, open) = taken_over(section, &transfer, &told);
        assert_eq!(open, 2);
        let lines: Vec<&str> = draft.lines().collect();
        assert_eq!(
            lines,
            [
                "zone: UTC",
                "columns:",
                "  log.at: { epoch: ms }  # 3 values",
                "  log.day: { epoch: s, time: <drop loses the time of day; or mend it in SQLite> }  # by `time: drop` the time of day would be lost",
                "  log.text: { on_problem: <\"null\" loses the value; quarantine the whole row; or mend it in SQLite> }  # 1 value; by `on_problem: quarantine` each whole row would stay behind",
            ]
        );
        let problems = parse_transfer("draft", &draft).expect_err("open places");
        let told: Vec<String> = problems.iter().map(|p| format!("{p:?}")).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told.iter().all(|p| p.contains("still to be filled in")),
            "{told:?}"
        );
    }
}
