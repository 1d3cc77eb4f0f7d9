//! What is wrong in a runbook, where, and what to write instead; shown the way compilers do. Not in here: finding it.

use std::fmt;

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::text::printable;

/// How much of a long line is shown around the place.
const WINDOW_CHARS: usize = 110;

/// Whether a runbook with this problem can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The runbook is invalid.
    Error,
    /// The runbook can be used; somebody should look.
    Warning,
}

/// One thing that is wrong, with its place. Never holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether it makes the runbook invalid.
    pub severity: Severity,
    /// The file as the operator named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Characters from `column` on that are meant; at least 1.
    #[serde(skip)]
    pub length: usize,
    /// Which value, such as `limits.freeze` or `steps[A1].quiet`; empty for the file as a whole.
    pub path: String,
    /// What should be there.
    pub expected: String,
    pub found: String,
    pub hint: Option<String>,
    /// The line itself, passwords masked.
    #[serde(skip)]
    pub source_line: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(
            f,
            "{heading}: expected {}, found {}",
            self.expected, self.found
        )?;
        let gutter = self.line.to_string().len();
        let path = if self.path.is_empty() {
            String::new()
        } else {
            format!(" ({})", printable(&self.path, 120))
        };
        writeln!(
            f,
            "{:gutter$}--> {}:{}:{}{path}",
            "",
            printable(&self.file, 200),
            self.line,
            self.column
        )?;
        let (before, marked, after) = self.excerpt();
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{} | {before}{marked}{after}", self.line)?;
        writeln!(
            f,
            "{:gutter$} | {}{}",
            "",
            " ".repeat(before.width()),
            "^".repeat(marked.width().max(1))
        )?;
        if let Some(hint) = &self.hint {
            writeln!(f, "{:gutter$} = hint: {hint}", "")?;
        }
        Ok(())
    }
}

impl Problem {
    /// The line, made harmless, in three pieces: what comes before the place, the place, what comes after it.
    fn excerpt(&self) -> (String, String, String) {
        let chars: Vec<char> = self.source_line.chars().collect();
        let at = (self.column - 1).min(chars.len());
        let end = (at + self.length).min(chars.len());
        let from = at.saturating_sub(WINDOW_CHARS / 2);
        let to = chars.len().min(from + WINDOW_CHARS).max(at);
        let piece = |range: &[char]| printable(&range.iter().collect::<String>(), WINDOW_CHARS);
        let before = if from > 0 { "…" } else { "" }.to_owned() + &piece(&chars[from..at]);
        let marked = piece(&chars[at..end.min(to)]);
        let mut after = piece(&chars[end.min(to)..to]);
        if to < chars.len() {
            after.push('…');
        }
        (before, marked, after)
    }
}

/// All problems, one under the other, and a line that counts them.
pub fn render(problems: &[Problem]) -> String {
    let mut out = String::new();
    for problem in problems {
        out.push_str(&problem.to_string());
        out.push('\n');
    }
    let count = |severity| problems.iter().filter(|p| p.severity == severity).count();
    let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    out.push_str(&format!(
        "{}, {}\n",
        plural(count(Severity::Error), "error"),
        plural(count(Severity::Warning), "warning")
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_wide_and_escaped_characters() {
        let problem = Problem {
            severity: Severity::Error,
            file: "r.yaml".into(),
            line: 7,
            column: 4,
            length: 3,
            path: "name".into(),
            expected: "a name".into(),
            found: "`bad`".into(),
            hint: None,
            source_line: "日\u{1b} bad".into(),
        };
        let shown = problem.to_string();
        assert!(shown.contains("7 | 日\\u{1b} bad\n"), "{shown}");
        assert!(
            shown.contains(&format!("  | {}^^^\n", " ".repeat(9))),
            "{shown}"
        );
    }
}
