//! One page with the commands by which a person could roll back by hand if everything else were gone. Pure text from what the
//! runbook says and the session has done so far; write it before the night, and again after each step if you like.
//!
//! Not in here: doing any of it (`step::rollback`), and hiding secrets, which whoever prints the page does with its whole text.

use std::fmt::Write;
use std::path::Path;

use crate::runbook::action::{Action, Effect, Placeholders};
use crate::runbook::{RollbackKind, Runbook, StepKind, SwitchHow};
use crate::session::facts::{Backup, Counts, SecondCopy, TableCount};
use crate::session::{Session, Undo};
use crate::text::quoted;

/// What the page is about.
pub struct Sheet<'s> {
    /// What the operator wrote.
    pub runbook: &'s Runbook,
    /// The session so far.
    pub session: &'s Session,
    pub folder: &'s Path,
    /// The engine's process, where one runs.
    pub engine: Option<u32>,
    /// Placeholders that follow the session, without passwords.
    pub values: Placeholders,
}

impl Sheet<'_> {
    /// The page, as Markdown.
    pub fn markdown(&self) -> String {
        let mut page = Page::default();
        let name = &self.session.charter.session;
        page.text(&format!("# Rolling back {name} by hand"));
        page.text(
            "For the night on which everything else is gone. As long as it is not: `R` in any cockpit, or `cutover rollback`, does \
             all of this, in this order, and starts an engine where none runs.",
        );
        page.text(&format!(
            "Session folder `{}`, runbook {}. `${{NAME}}` stands for a secret: set it from where the runbook's environment comes from.",
            self.folder.display(),
            self.session.charter.runbook_hash.0
        ));
        for row in &self.runbook.rollback {
            page.text(&format!("## {} {}", row.id, row.title));
            match &row.kind {
                RollbackKind::Halt => self.halt(&mut page),
                RollbackKind::FenceTarget => self.fence_target(&mut page),
                RollbackKind::RestoreConfig => self.restore_config(&mut page),
                RollbackKind::BringBack => self.bring_back(&mut page),
                RollbackKind::Restart { action } => self.restart(&mut page, action.as_ref()),
                RollbackKind::Validate => self.validate(&mut page),
                RollbackKind::LiftFreeze => self.lift_freeze(&mut page),
                RollbackKind::Preserve { .. } => page.text(&format!(
                    "Keep `{}` as it is, and PostgreSQL's own log. Drop nothing on PostgreSQL: rows that users have written since \
                     writes were reopened are there and nowhere else.",
                    self.folder.display()
                )),
                RollbackKind::Incident { file } => page.text(&format!(
                    "Write down what happened and when, in `{}`.",
                    file.display()
                )),
                RollbackKind::Command(action) => page.action(action, &self.values),
            }
        }
        page.text("## If the SQLite file itself is damaged");
        self.backups(&mut page);
        page.out
    }

    fn halt(&self, page: &mut Page) {
        match self.engine {
            Some(pid) => {
                page.text("End the engine. Its fence on the SQLite file ends with it.");
                page.commands([format!("kill {pid}")]);
            }
            None => page.text("No engine runs, so no fence is held and nothing new starts."),
        }
    }

    fn fence_target(&self, page: &mut Page) {
        page.text(
            "Nothing has to be done for the application to come back. What it still writes to PostgreSQL until the restarts below is kept \
             there, and nowhere else.",
        );
    }

    fn bring_back(&self, page: &mut Page) {
        page.text(
            "Bring nothing back by hand now. `cutover salvage make` finds what users wrote to PostgreSQL once the application is on SQLite \
             again, as long as PostgreSQL is left as it is, and `cutover salvage apply` brings it in.",
        );
    }

    /// The operators' own steps that ran before and after the switch are undone after and before it is taken back.
    fn restore_config(&self, page: &mut Page) {
        let own = self.session.own_undos();
        self.own_undos(page, &own.before_switch_back);
        self.switch_back(page);
        self.own_undos(page, &own.after_switch_back);
    }

    fn own_undos(&self, page: &mut Page, steps: &[&str]) {
        for step in steps {
            page.text(&format!("What {step} did:"));
            match self.runbook.undo_of(step) {
                Some(undo) => page.action(undo, &self.values),
                None => page.text("The runbook has no undo for it any more."),
            }
        }
    }

    fn switch_back(&self, page: &mut Page) {
        let kept = self
            .session
            .undos
            .iter()
            .filter_map(|(_, undo)| match undo {
                Undo::Config {
                    path,
                    former_sha256,
                    ..
                } => Some((path, former_sha256)),
                _ => None,
            });
        let kept: Vec<_> = kept.collect();
        if !kept.is_empty() {
            page.text("The former bytes of every file that was changed are kept:");
            page.commands(kept.into_iter().map(|(path, former_sha256)| {
                let former = self.folder.join("former").join(former_sha256);
                format!("cp {} {}", word_of(&former), word_of(path))
            }));
            return;
        }
        for step in &self.runbook.steps {
            let StepKind::Switch { how } = &step.kind else {
                continue;
            };
            match how {
                SwitchHow::Key { key, from, to } => {
                    page.text(&format!(
                        "Not switched yet when this page was written. After {}: in each of these files set `{key}` from `{to}` back \
                         to `{from}`. Once {} is done, write this page again; it then names the kept former files.",
                        step.id, step.id
                    ));
                    for instance in &self.runbook.fleet.instances {
                        let file = self.runbook.fleet.config.as_deref().unwrap_or_default();
                        page.line(&format!("- `{}`", instance.file(file).display()));
                    }
                    page.end();
                }
                SwitchHow::Action { to_source, .. } => {
                    page.action(to_source, &self.values);
                }
            }
        }
    }

    fn restart(&self, page: &mut Page, action: Option<&Action>) {
        page.text("Each instance that had been restarted on PostgreSQL; where in doubt, all:");
        let fleet = &self.runbook.fleet;
        let restarts = fleet.instances.iter();
        let action = action.unwrap_or(&fleet.restart);
        page.commands(
            restarts.map(|i| command_of(action, &Placeholders::of(i).over(&self.values))),
        );
    }

    fn validate(&self, page: &mut Page) {
        page.text("Every instance must answer with success, from SQLite:");
        for instance in &self.runbook.fleet.instances {
            let values = Placeholders::of(instance);
            let requests = self.runbook.verification.requests.iter().map(|r| &r.url);
            let urls = [&self.runbook.fleet.ready].into_iter().chain(requests);
            page.commands(urls.map(|url| format!("curl -fsS {}", word(&values.filled(url)))));
        }
        let file = word_of(&self.runbook.source.file);
        match self.session.fact() {
            Ok(Some(Counts(tables))) => {
                page.text("SQLite must have at least the rows of the backup:");
                page.commands(tables.iter().map(|TableCount { table, rows }| {
                    let sql = format!("SELECT count(*) FROM {}", quoted(table));
                    format!("sqlite3 -readonly {file} {}    # {rows}", word(&sql))
                }));
            }
            Err(unreadable) => page.text(&format!("How many rows the backup has is not known: {unreadable}.")),
            Ok(None) => page.text(&format!(
                "No backup was made before this page was written: {file} is as the application left it."
            )),
        }
    }

    fn lift_freeze(&self, page: &mut Page) {
        page.text("Let users write again, on SQLite:");
        for step in &self.runbook.steps {
            if let StepKind::Freeze { off, .. } = &step.kind {
                page.action(off, &self.values);
            }
        }
    }

    /// Secrets in their paths stay names: whoever prints the page sets them.
    fn backups(&self, page: &mut Page) {
        let first = self.session.fact();
        let second = self.session.fact();
        let first = first.map(|left| left.map(|Backup(kept)| kept));
        let second = second.map(|left| left.map(|SecondCopy(kept)| kept));
        let mut any = false;
        for copy in [first, second] {
            let kept = match copy {
                Ok(Some(kept)) => kept,
                Ok(None) => continue,
                Err(unreadable) => {
                    page.text(&format!("Where a copy is cannot be said: {unreadable}."));
                    any = true;
                    continue;
                }
            };
            if !any {
                page.text(
                    "Stop every instance first. Then the first copy whose checksum is right, and nothing beside it:",
                );
            }
            any = true;
            let file = &self.runbook.source.file;
            let beside = |suffix: &str| word(&format!("{}{suffix}", file.display()));
            let path = word_of(&kept.path);
            let line = format!("{}  {}", kept.sha256, kept.path.display());
            page.commands([
                format!("echo {} | sha256sum --check", word(&line)),
                format!("mv {} {}", word_of(file), beside(".damaged")),
                format!("rm -f {} {}", beside("-wal"), beside("-shm")),
                format!("cp {path} {}", word_of(file)),
            ]);
        }
        if !any {
            page.text("No backup had been made when this page was written.");
        }
    }
}

/// Markdown in the making.
#[derive(Default)]
struct Page {
    out: String,
}

impl Page {
    fn text(&mut self, text: &str) {
        self.line(text);
        self.end();
    }

    fn line(&mut self, text: &str) {
        writeln!(self.out, "{text}").expect("BUG: writing to a string fails");
    }

    fn end(&mut self) {
        self.out.push('\n');
    }

    /// A block of commands, one after the other.
    fn commands(&mut self, commands: impl IntoIterator<Item = String>) {
        for command in commands {
            for line in command.lines() {
                self.line(&format!("    {line}"));
            }
        }
        self.end();
    }

    fn action(&mut self, action: &Action, values: &Placeholders) {
        self.commands([command_of(action, values)]);
    }
}

/// An action as a shell would do it; what cannot be written so says why, as a comment.
fn command_of(action: &Action, values: &Placeholders) -> String {
    match action.substituted(values) {
        Ok(action) => line_with_surroundings(&action),
        Err(error) => format!("# not to be written as a command: {error}"),
    }
}

/// A command with its own variables and standard input; any other effect by itself.
fn line_with_surroundings(action: &Action) -> String {
    let mut line = line_of(&action.effect);
    if !action.env.is_empty() {
        let pairs = action.env.iter();
        let variables: Vec<String> = pairs
            .map(|(name, value)| format!("{name}={}", word(value)))
            .collect();
        if let Effect::Shell { line: shell } = &action.effect {
            line = format!("/bin/sh -c {}", word(shell));
        }
        line = format!("{} {line}", variables.join(" "));
    }
    match &action.stdin {
        Some(text) => format!("printf %s {} | {line}", word(text)),
        None => line,
    }
}

/// An effect as a shell would do it.
fn line_of(effect: &Effect) -> String {
    match effect {
        Effect::Command { argv } => words(argv),
        Effect::Shell { line } => line.clone(),
        Effect::Http {
            method,
            url,
            headers,
            body,
            ..
        } => {
            let mut line = format!("curl -fsS -X {}", word(method));
            for (name, value) in headers {
                write!(line, " -H {}", word(&format!("{name}: {value}")))
                    .expect("BUG: writing to a string fails");
            }
            if let Some(body) = body {
                write!(line, " --data {}", word(body)).expect("BUG: writing to a string fails");
            }
            format!("{line} {}", word(url))
        }
        Effect::WriteFile { path, content } => {
            format!("printf %s {} > {}", word(content), word_of(path))
        }
        Effect::RemoveFile { path } => format!("rm -f {}", word_of(path)),
    }
}

fn words(argv: &[String]) -> String {
    argv.iter().map(|w| word(w)).collect::<Vec<_>>().join(" ")
}

fn word_of(path: &Path) -> String {
    word(&path.to_string_lossy())
}

/// As one word for a shell.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_word_for_a_shell() {
        for (text, quoted) in [
            ("restart", "restart"),
            ("/srv/a b", "'/srv/a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("$HOME;rm", "'$HOME;rm'"),
        ] {
            assert_eq!(word(text), quoted);
        }
    }
}
