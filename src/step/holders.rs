//! Who else than the runbook's instances has the SQLite file open: a forgotten instance, a worker, a job. The fence refuses its writes for as
//! long as it stands; once the session is complete it would write into a file that nobody reads. Best effort: other hosts, and processes that
//! we may not look into, are not seen.
//!
//! Not in here: whether the file itself can be fenced (`sqlite::fence`), and by which database an instance serves (`serving`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::serving::{everybody_of, places_of};
use crate::fleet::processes::{self, Process};
use crate::runbook::Runbook;
use crate::sqlite;
use crate::text::printable;

/// Processes that a message names.
const NAMED: usize = 3;

/// The processes that have a session's file open and are no instances, in words.
pub async fn others(ctx: &Context) -> Option<String> {
    let file = ctx.base.join(&ctx.runbook.source.file);
    others_of(&ctx.runbook, &file).await
}

/// The same of any runbook. None where there is nobody, or nothing can be seen.
pub async fn others_of(runbook: &Runbook, file: &Path) -> Option<String> {
    let identity = sqlite::identity(file).ok()?;
    let places = places_of(&everybody_of(runbook)).await.into_iter();
    let known: BTreeSet<Process> = places.flat_map(|place| place.processes).collect();
    let may = runbook.source.also_open.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let others = processes::holding(identity).into_iter();
        let others =
            others.filter(|process| !known.contains(process) && !may.contains(&process.name));
        others
            .map(|process| described(&process))
            .collect::<Vec<_>>()
    });
    let others = looked
        .await
        .expect("BUG: looking at processes does not panic");
    said(&others, file)
}

fn said(others: &[String], file: &Path) -> Option<String> {
    let named: Vec<&str> = others.iter().take(NAMED).map(String::as_str).collect();
    let more = match others.len().checked_sub(NAMED) {
        None | Some(0) => String::new(),
        Some(more) => format!(", and {more} more"),
    };
    let (verb, are) = match others.len() {
        0 => return None,
        1 => ("has", "is no instance"),
        _ => ("have", "are no instances"),
    };
    let file = printable(&file.display().to_string(), 120);
    Some(format!(
        "{}{more} {verb} {file} open and {are} of this runbook",
        named.join(", ")
    ))
}

/// `gunicorn (process 4711 in /srv/app-3, listens at 8003)`.
fn described(process: &Process) -> String {
    let folder: Option<PathBuf> = std::fs::read_link(format!("/proc/{}/cwd", process.pid)).ok();
    let folder = folder.map_or_else(String::new, |f| {
        format!(" in {}", printable(&f.display().to_string(), 60))
    });
    let ports: Vec<String> = processes::listens_at(process)
        .iter()
        .map(u16::to_string)
        .collect();
    let listens = match ports.as_slice() {
        [] => String::new(),
        ports => format!(", listens at {}", ports.join(", ")),
    };
    format!(
        "{} (process {}{folder}{listens})",
        process.name, process.pid
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_named_and_the_rest_counted() {
        let file = Path::new("/srv/app.db");
        let names = |n: usize| (0..n).map(|n| format!("p{n}")).collect::<Vec<_>>();
        assert_eq!(said(&[], file), None);
        assert_eq!(
            said(&names(1), file).as_deref(),
            Some("p0 has /srv/app.db open and is no instance of this runbook")
        );
        let many = said(&names(5), file).expect("words");
        assert!(
            many.starts_with("p0, p1, p2, and 2 more have /srv/app.db open"),
            "{many}"
        );
    }
}
