//! Lines that real frameworks, servers and clients of PostgreSQL print (`scripts/log-lines.sh` makes their logs anew): what the ready-made
//! rules make of each.

use std::collections::BTreeSet;
use std::path::Path;

use cutover::monitor::logs::rules::Rules;
use cutover::runbook::rule_sets;

/// One framework's file: the set of rules, and what each line must come to.
struct Lines {
    name: String,
    set: String,
    rows: Vec<(String, String)>,
}

impl Lines {
    fn all() -> Vec<Lines> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/monitor/lines");
        let entries = std::fs::read_dir(folder).expect("the lines");
        let mut paths: Vec<_> = entries.map(|e| e.expect("a file").path()).collect();
        paths.sort();
        paths.iter().map(|path| Lines::of(path)).collect()
    }

    fn of(path: &Path) -> Lines {
        let text = std::fs::read_to_string(path).expect("lines");
        let name = path.file_stem().and_then(|stem| stem.to_str());
        let set = text.lines().find_map(|line| line.strip_prefix("# set: "));
        let rows = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let row = |line: &str| {
            let (wanted, line) = line.split_once(" | ").expect("a category and a line");
            (wanted.to_owned(), line.to_owned())
        };
        Lines {
            name: name.expect("a name").to_owned(),
            set: set.expect("which set").to_owned(),
            rows: rows.map(row).collect(),
        }
    }
}

#[test]
fn lines_of_real_frameworks_are_sorted_by_their_ready_made_rules() {
    let all = Lines::all();
    assert!(all.len() >= 8, "{}", all.len());
    let mut wrong = Vec::new();
    for lines in &all {
        let rules = rule_sets::rules(&lines.set);
        let rules = Rules::new(&rules).expect("rules");
        for (wanted, line) in &lines.rows {
            let found = match rules.sort(line.as_bytes()) {
                None => "-".to_owned(),
                Some(sorted) => match sorted.endpoint {
                    Some(endpoint) => format!("{} {endpoint}", sorted.category),
                    None => sorted.category.to_owned(),
                },
            };
            if found != *wanted {
                wrong.push(format!("{}: {wanted}, found {found}: {line}", lines.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What every framework must be seen to do: to start, to fail by itself, and to fail by its database, also by one that is not there.
#[test]
fn every_framework_shows_that_it_has_started_and_what_fails() {
    for lines in Lines::all() {
        let category = |(wanted, _): &(String, String)| {
            let category = wanted.split(' ').next().unwrap_or_default();
            category.to_owned()
        };
        let categories: BTreeSet<String> = lines.rows.iter().map(category).collect();
        for wanted in [
            "host_booted",
            "database_constraint",
            "database_exception",
            "ddl_exception",
        ] {
            assert!(categories.contains(wanted), "{}: {wanted}", lines.name);
        }
        let fails = |category: &String| {
            ["endpoint_exception", "unhandled_exception"].contains(&category.as_str())
        };
        assert!(categories.iter().any(fails), "{}", lines.name);
    }
}
