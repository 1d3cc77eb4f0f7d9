//! `cutover init --ask`: what nobody can know from files is asked for, each with a default and a line of reason. An answer is a line, typed or
//! piped; an empty one takes the default, a wrong one is asked for again with what is wrong. Not in here: what becomes of the answers
//! (`runbook::draft`).

mod maintenance;
mod people;
mod slots;

use std::io::{BufRead, Read as _};

use anyhow::{Context, bail};

use crate::runbook::draft::Survey;
use crate::runbook::draft::known::{Figures, Found, Known};
use crate::text::printable;

/// A longer line is no answer.
const ANSWER_BYTES: u64 = 64 * 1024;

/// A question.
struct Question<'q> {
    /// What is asked for.
    what: &'q str,
    /// Why, in a line.
    why: &'q str,
    /// What an empty answer stands for; empty where it is none.
    default: &'q str,
}

/// Where answers come from.
struct Asker<'i> {
    input: &'i mut dyn BufRead,
}

impl Asker<'_> {
    /// Asks until the answer is one.
    fn ask<T>(
        &mut self,
        question: &Question<'_>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> anyhow::Result<T> {
        loop {
            let default = match question.default {
                "" => String::new(),
                default => format!(" [{}]", printable(default, 200)),
            };
            errln!("{}{default}   ({})", question.what, question.why);
            let mut line = String::new();
            let mut input = (&mut *self.input).take(ANSWER_BYTES);
            let length = input.read_line(&mut line);
            let length = length.context("cannot read the answer; nothing was written")?;
            if length as u64 == ANSWER_BYTES {
                bail!(
                    "the answer to `{}` is longer than {ANSWER_BYTES} bytes; nothing was written",
                    question.what
                );
            }
            if length == 0 {
                bail!(
                    "the answers ended before the question `{}`; nothing was written",
                    question.what
                );
            }
            let answer = match line.trim() {
                "" => question.default,
                answer => answer,
            };
            match read(answer) {
                Ok(value) => return Ok(value),
                Err(why) => errln!("  {}", printable(&why, 300)),
            }
        }
    }

    /// Asks for what is not known yet.
    fn fill(
        &mut self,
        known: &mut Option<Found>,
        question: &Question<'_>,
        read: impl Fn(&str) -> Result<Found, String>,
    ) -> anyhow::Result<()> {
        if known.is_none() {
            *known = Some(self.ask(question, read)?);
        }
        Ok(())
    }
}

/// Asks for everything that is not known.
///
/// # Errors
/// The answers ended, or cannot be read.
pub(super) fn all(survey: &mut Survey, input: &mut dyn BufRead) -> anyhow::Result<()> {
    let mut asker = Asker { input };
    let name = survey.name();
    people::all(&mut asker, &mut survey.known)?;
    slots::all(&mut asker, &mut survey.known)?;
    fleet(&mut asker, &mut survey.known, &name)?;
    switch(&mut asker, &mut survey.known)?;
    migrations(&mut asker, survey)?;
    watch(&mut asker, survey)?;
    places(&mut asker, &mut survey.known, &name)
}

fn fleet(asker: &mut Asker<'_>, known: &mut Known, name: &str) -> anyhow::Result<()> {
    let default = format!("/etc/{name}/{{instance}}.env");
    let question = Question {
        what: "File from which an instance takes its configuration?",
        why: "F1 changes one key in it; {instance} stands for the instance",
        default: &default,
    };
    asker.fill(&mut known.config, &question, path)?;
    if !known.is_managed() {
        let default = format!("/var/log/{name}/{{instance}}.log");
        let question = Question {
            what: "File that an instance logs to?",
            why: "M1 to M4 are told by it",
            default: &default,
        };
        asker.fill(&mut known.log, &question, path)?;
        let default = format!("systemctl restart {name}@{{instance}}.service");
        let question = Question {
            what: "Program that restarts an instance, with its arguments?",
            why: "run without a shell, for one instance after another",
            default: &default,
        };
        asker.fill(&mut known.restart, &question, command)?;
    }
    let question = Question {
        what: "Program that connects to PostgreSQL from an instance's host?",
        why: "B3 runs it; {host} stands for the host: ssh {host} pg_isready …",
        default: "pg_isready -h {runtime_host} -p {runtime_port}",
    };
    asker.fill(&mut known.connect, &question, command)?;
    let question = Question {
        what: "Path of the page that says whether an instance can serve?",
        why: "it answers 2xx then, and something else while it starts",
        default: "/ready",
    };
    asker.fill(&mut known.ready, &question, page)?;
    let question = Question {
        what: "Path of a page that reads the critical tables?",
        why: "asked on SQLite and on PostgreSQL, and compared byte by byte",
        default: "/",
    };
    asker.fill(&mut known.page, &question, page)
}

fn switch(asker: &mut Asker<'_>, known: &mut Known) -> anyhow::Result<()> {
    let switch = &mut known.switch;
    let question = Question {
        what: "Key of the configuration that says which database?",
        why: "F1 changes it in every instance's file",
        default: "DATABASE_URL",
    };
    asker.fill(&mut switch.key, &question, found)?;
    let question = Question {
        what: "Its value for SQLite?",
        why: "as it stands in the file now; {source_url} is sqlite:/// and the file's path",
        default: "{source_url}",
    };
    asker.fill(&mut switch.from, &question, found)?;
    let question = Question {
        what: "Its value for PostgreSQL?",
        why: "{runtime_url} is the address with its password, and leads a rehearsal elsewhere",
        default: "{runtime_url:postgresql}",
    };
    asker.fill(&mut switch.to, &question, found)
}

fn migrations(asker: &mut Asker<'_>, survey: &mut Survey) -> anyhow::Result<()> {
    let framework = survey.history.as_ref().map(|(framework, _)| *framework);
    let example = framework.map_or("make migrations", |framework| framework.example);
    if example.is_empty() {
        let question = Question {
            what: "File of the migrations for PostgreSQL?",
            why: "made by `dotnet ef migrations script --idempotent`",
            default: "migrations.sql",
        };
        asker.fill(&mut survey.known.script, &question, path)?;
    } else {
        let default = example.replace(['[', ']', ',', '"'], "");
        let question = Question {
            what: "Program that runs the migrations, with its arguments?",
            why: "C1 runs it; what tells it where stands in `env`",
            default: &default,
        };
        asker.fill(&mut survey.known.migrate, &question, command)?;
    }
    let question = Question {
        what: "Release or commit that pins them?",
        why: "kept on record with what has run",
        default: "1",
    };
    asker.fill(&mut survey.known.version, &question, found)?;
    let is_told = match (&survey.history, &survey.target) {
        (Some((framework, _)), _) if framework.target.is_none() => false,
        (Some(_), Some(seen)) if !seen.applied.is_empty() => true,
        (Some((_, applied)), _) => !applied.is_empty(),
        (None, _) => false,
    };
    if is_told {
        return Ok(());
    }
    history(asker, survey)
}

/// By what C2 knows that the migrations have run.
fn history(asker: &mut Asker<'_>, survey: &mut Survey) -> anyhow::Result<()> {
    let target = survey.history.as_ref().and_then(|(f, _)| f.target);
    let (table, column) = target.unwrap_or(("schema_migrations", "version"));
    let why = "C2 and T2b look there whether every migration has run";
    let mut ask = |what, default| asker.ask(&Question { what, why, default }, found);
    let table = ask("Table of the migrations in PostgreSQL?", table)?;
    let column = ask("Column of their ids?", column)?;
    let question = Question {
        what: "Ids of the migrations for PostgreSQL, apart by blanks?",
        why: "each must be there after C1",
        default: "1",
    };
    let ids = asker.ask(&question, command)?;
    survey.known.history = Some((table, column, ids));
    Ok(())
}

fn watch(asker: &mut Asker<'_>, survey: &mut Survey) -> anyhow::Result<()> {
    let of_history = survey.history.as_ref().and_then(|(f, _)| f.log_rules);
    let known = &mut survey.known;
    if of_history.or(known.log_rules).is_none() {
        let question = Question {
            what: "A line that an instance logs when it has started?",
            why: "M1 counts the instances that have; a regular expression",
            default: "started",
        };
        asker.fill(&mut known.booted, &question, found)?;
    }
    match &known.figures {
        Figures::Unknown | Figures::Library { .. } => Ok(()),
        Figures::None { .. } => {
            let question = Question {
                what: "Program that prints the share of 5xx and the 95th percentile in ms?",
                why: "the application publishes no metrics; a line each, of its access logs, say",
                default: "bin/figures",
            };
            asker.fill(&mut known.figures_command, &question, command)
        }
    }
}

fn places(asker: &mut Asker<'_>, known: &mut Known, name: &str) -> anyhow::Result<()> {
    maintenance::ask(asker, known, name)?;
    let question = Question {
        what: "Folder for backups?",
        why: "the copy by which one can always go back",
        default: "backups",
    };
    asker.fill(&mut known.backup, &question, path)?;
    let question = Question {
        what: "Folder for a second copy, on another disk?",
        why: "one disk that fails must not take both",
        default: "second-backups",
    };
    asker.fill(&mut known.second, &question, path)?;
    let default = format!("rehearsal/{name}.db");
    let question = Question {
        what: "File for the rehearsal's copy?",
        why: "a file that is not there yet; its folder must be there",
        default: &default,
    };
    asker.fill(&mut known.copy, &question, path)
}

fn text(answer: &str) -> Result<String, String> {
    match answer {
        "" => Err("an answer is expected".to_owned()),
        answer => Ok(answer.to_owned()),
    }
}

fn found(answer: &str) -> Result<Found, String> {
    text(answer).map(|answer| Found::text(&answer, ""))
}

fn command(answer: &str) -> Result<Found, String> {
    text(answer).map(|answer| Found::command(answer.split_whitespace(), ""))
}

/// As a runbook takes it: absolute, or below its folder.
fn path(answer: &str) -> Result<Found, String> {
    if answer.split('/').any(|part| part == "..") {
        return Err("a path without `..` is expected".to_owned());
    }
    found(answer)
}

fn page(answer: &str) -> Result<Found, String> {
    match answer.starts_with('/') {
        true => found(answer),
        false => Err("a path that begins with / is expected".to_owned()),
    }
}
