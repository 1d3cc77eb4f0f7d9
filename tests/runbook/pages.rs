//! What the pages of `docs/` show can be pasted: recipes of monitoring, and each framework's steps and transfer section. Not in here: fleets
//! (`fleets`), and README's walk (`foreign::walk`).

use cutover::runbook::{self, Reading};

use super::{environment, reference, rendered};

/// The pages of the frameworks, each with the number of its blocks.
const FRAMEWORKS: [(&str, &str, usize); 6] = [
    ("django", include_str!("../../docs/django.md"), 3),
    ("rails", include_str!("../../docs/rails.md"), 2),
    ("efcore", include_str!("../../docs/efcore.md"), 3),
    ("laravel", include_str!("../../docs/laravel.md"), 2),
    ("node", include_str!("../../docs/node.md"), 5),
    ("sqlalchemy", include_str!("../../docs/sqlalchemy.md"), 2),
];

/// The probe of the reference in whose place a recipe stands.
const TRAFFIC: &str =
    "  - { id: traffic,   kind: metrics,   interval: 5s, timeout: 3s, window: 2m }\n";

/// What the reference asks of that probe besides.
const POOL: &str = "[ { signal: pool_waiting, at_most: 0 }, { signal: pool_timeouts, at_most: 0 }, { signal: pool_used_ratio, at_most: 90% } ]";

fn blocks(page: &str) -> Vec<&str> {
    let blocks = page.split("```yaml\n").skip(1);
    blocks.filter_map(|b| b.split("```").next()).collect()
}

/// The text with one thing replaced, which is there once.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?}");
    text.replace(from, to)
}

/// Names in `${…}` that are secret by what they are called.
fn secrets(block: &str) -> Vec<&str> {
    let names = block.split("${").skip(1);
    let names = names.filter_map(|rest| rest.split('}').next());
    let secret = |name: &&str| ["KEY", "TOKEN", "BASIC"].iter().any(|w| name.contains(w));
    let mut names: Vec<&str> = names.filter(secret).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The reference, with what a block needs of the environment.
fn with_secrets(text: &str, block: &str) -> String {
    let listed: String = secrets(block).iter().map(|n| format!(", {n}")).collect();
    replaced(text, "PROBE_TOKEN]\n", &format!("PROBE_TOKEN{listed}]\n"))
}

/// What becomes of the text where every name has a value.
fn read(text: &str) -> Reading {
    let some = |name: &str| environment(name).or_else(|| Some(format!("value-of-{name}")));
    runbook::read("runbook.yaml", text, &some)
}

fn assert_clean(page: &str, block: &str, text: &str) {
    let reading = read(text);
    let said = rendered(&reading.problems);
    assert!(reading.problems.is_empty(), "{page}:\n{block}\n{said}");
    assert!(reading.runbook.is_some(), "{page}:\n{block}");
}

/// A list's items, indented as the reference's.
fn indented(block: &str) -> String {
    let lines = block.lines().map(|line| match line.is_empty() {
        true => "\n".to_owned(),
        false => format!("  {line}\n"),
    });
    lines.collect()
}

#[test]
fn every_recipe_of_monitoring_can_be_pasted() {
    let page = include_str!("../../docs/monitoring.md");
    let mut recipes = 0;
    for block in blocks(page) {
        let text = if block.starts_with("- id: traffic\n") {
            recipes += 1;
            let text = replaced(&reference(), TRAFFIC, &indented(block));
            replaced(&text, POOL, "[ { signal: pg_waiting, at_most: 5 } ]")
        } else if block.starts_with("bridge: ") {
            format!("{}\n{block}", reference())
        } else if block.starts_with("notify:\n") {
            let reference = reference();
            let (before, rest) = reference.split_once("\nnotify:\n").expect("notify");
            let (_, after) = rest.split_once("\n\n").expect("what follows");
            format!("{before}\n{block}\n{after}")
        } else {
            assert!(block.starts_with("# prometheus.yml\n"), "{block}");
            continue;
        };
        assert_clean("monitoring", block, &with_secrets(&text, block));
    }
    assert_eq!(recipes, 8);
}

/// The reference with these steps in the place of its own of the same id, each on a line.
fn with_steps(block: &str) -> String {
    let mut text = reference();
    for step in block.lines() {
        let (id, _) = step.split_once(',').expect("an id");
        let begin = format!("  {id},");
        let own = text.lines().find(|line| line.starts_with(&begin));
        let own = own.unwrap_or_else(|| panic!("{begin}")).to_owned();
        text = replaced(&text, &own, &format!("  {step}"));
    }
    text
}

#[test]
fn steps_and_sections_of_every_framework_can_be_pasted() {
    for (page, text, count) in FRAMEWORKS {
        let blocks = blocks(text);
        assert_eq!(blocks.len(), count, "{page}");
        for block in blocks {
            if !block.starts_with("- { id: ") {
                let section = runbook::parse_transfer("transfer.yaml", block);
                let problems = section.err().unwrap_or_default();
                assert!(
                    problems.is_empty(),
                    "{page}:\n{block}\n{}",
                    rendered(&problems)
                );
                continue;
            }
            let text = with_steps(block);
            // In parts the target's address cannot be told, and the page says so.
            if block.contains("Host={runtime_host}") {
                let reading = read(&text);
                let said = rendered(&reading.problems);
                assert!(reading.runbook.is_some(), "{page}:\n{block}\n{said}");
                assert_eq!(reading.problems.len(), 1, "{said}");
                assert!(
                    said.contains("expected an address of the target's database"),
                    "{said}"
                );
            } else {
                assert_clean(page, block, &text);
            }
        }
    }
}
