//! The chain that every case and every seed goes through: `plan`, pasting what it suggests, `copy`, `verify`; by the binary, judged by exit
//! codes and by what was printed. What the databases hold is not looked at here.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Times that a suggestion is pasted before the chain gives up.
pub const PASTES: usize = 3;

/// How far a chain came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Planned, copied and verified, each with exit code 0.
    Across,
    /// `plan` names what stands in the way, and suggests nothing that would settle it.
    Refused,
    /// A promise was broken, in words: a red after a green, or a suggestion that settles nothing.
    Broken(String),
}

/// What a chain did.
#[derive(Debug)]
pub struct Outcome {
    /// How far it came.
    pub ended: Ended,
    /// The transfer section as it was pasted in the end.
    pub section: String,
    /// Everything that was printed.
    pub said: String,
    /// What was suggested, one after the other, with the comments in it.
    pub suggested: String,
    /// The problems of the last plan, as lines.
    pub problems: Vec<String>,
    /// What the last plan, where it was green, said of rows that stay behind (`aside` of `plan --json`).
    pub aside: Value,
}

/// Both sides of a case, and the section it begins with.
pub struct Chain<'c> {
    /// The SQLite file.
    pub file: &'c Path,
    /// The target as the application's owner.
    pub url: &'c str,
    /// What a user starts with; may be empty.
    pub section: String,
    /// Where the section is written for `--transfer`.
    pub folder: &'c Path,
    /// More arguments for all three commands.
    pub more: Vec<String>,
}

impl Chain<'_> {
    /// Goes as far as it can.
    pub fn run(mut self) -> Outcome {
        let mut said = String::new();
        let mut seen: Vec<String> = Vec::new();
        let mut problems;
        let aside;
        loop {
            let (code, out, err) = self.cutover("plan", &["--json"]);
            said.push_str(&err);
            let plan: Value = serde_json::from_str(&out).unwrap_or_default();
            problems = lines_of(&plan["problems"]);
            said.push_str(&problems.join("\n"));
            said.push_str(&lines_of(&plan["notes"]).join("\n"));
            if code == 0 {
                aside = plan["aside"].clone();
                break;
            }
            let ended = |ended| Outcome {
                ended,
                section: self.section.clone(),
                said: said.clone(),
                suggested: seen.concat(),
                problems: problems.clone(),
                aside: Value::Null,
            };
            if plan.is_null() {
                return ended(Ended::Broken(format!("plan {code} without a plan: {err}")));
            }
            let suggested = plan["suggested"].as_str().unwrap_or_default().to_owned();
            if suggested.trim().is_empty() {
                return ended(Ended::Refused);
            }
            if seen.contains(&suggested) || suggested == self.section {
                return ended(Ended::Broken("the suggestion loops".to_owned()));
            }
            if seen.len() == PASTES {
                return ended(Ended::Broken(format!(
                    "no end after {PASTES} pasted suggestions"
                )));
            }
            seen.push(suggested.clone());
            self.section = suggested;
        }
        let (_, out, _) = self.cutover("plan", &[]);
        said.push_str(&out);
        for command in ["copy", "verify"] {
            let (code, out, err) = self.cutover(command, &[]);
            said.push_str(&out);
            said.push_str(&err);
            if code != 0 {
                let why = format!("plan 0, {command} {code}: {err}{}", only_bad(&out));
                return Outcome {
                    ended: Ended::Broken(why),
                    section: self.section,
                    said,
                    suggested: seen.concat(),
                    problems,
                    aside,
                };
            }
        }
        Outcome {
            ended: Ended::Across,
            section: self.section,
            said,
            suggested: seen.concat(),
            problems,
            aside,
        }
    }

    /// One command on both sides: exit code, standard output, standard error.
    pub fn cutover(&self, command: &str, more: &[&str]) -> (i32, String, String) {
        let mut run = Command::new(crate::support::cutover());
        run.arg(command).arg("--from").arg(self.file);
        run.args(["--to", self.url]).args(more).args(&self.more);
        if !self.section.trim().is_empty() {
            let file = self.folder.join("transfer.yaml");
            std::fs::write(&file, &self.section).expect("the section");
            run.arg("--transfer").arg(file);
        }
        let output = run.output().expect("the binary runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code().unwrap_or(-1),
            text(&output.stdout),
            text(&output.stderr),
        )
    }
}

/// Problems or notes of `plan --json` as lines.
fn lines_of(list: &Value) -> Vec<String> {
    let line = |one: &Value| {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        format!(
            "{}.{} {} {}: {} [{}]\n",
            text("table"),
            text("column"),
            one["rowid"],
            text("value"),
            text("reason"),
            text("policy")
        )
    };
    list.as_array()
        .map(|list| list.iter().map(line).collect())
        .unwrap_or_default()
}

fn only_bad(out: &str) -> String {
    out.lines()
        .filter(|line| line.starts_with("BAD") || line.starts_with("NOT"))
        .map(|line| format!("{line}\n"))
        .collect()
}
