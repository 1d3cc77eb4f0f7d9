//! `cutover salvage apply`: brings chosen rows of a salvage file into SQLite.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chrono::{SecondsFormat, Utc};
use clap::Args;

use super::super::{Exit, Named};
use super::{ChoiceArgs, Opened, open};
use crate::claim::{self, Claim};
use crate::salvage::apply::{Brought, Fate, Means, Outcome, Side, apply};
use crate::salvage::file::NAME;
use crate::session::{Phase, Session};
use crate::sqlite;
use crate::text::printable;

/// Conflicts that are listed for people.
const LISTED: usize = 50;
/// Values of a row that has a conflict that are listed for people.
const SIDES: usize = 20;

/// Bring rows into SQLite.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover salvage apply --all --dry-run
  cutover salvage apply --key ToolContents=4711
  cutover salvage apply --table ToolContents --skip-conflicts")]
pub struct ApplyArgs {
    #[command(flatten)]
    named: Named,
    /// Every row of the file
    #[arg(long, conflicts_with_all = ["table", "row", "key"])]
    all: bool,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// Another file than the session's source: a copy to try it on
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Show what would happen, and take it back
    #[arg(long)]
    dry_run: bool,
    /// Leave out rows with a conflict, and the rows that refer to them, instead of bringing in none
    #[arg(long)]
    skip_conflicts: bool,
    /// Agrees to so many deletions in SQLite: those of the chosen rows that PostgreSQL no longer had
    #[arg(long, value_name = "N")]
    deletes: Option<u64>,
    /// Bring in the nearest value where a column's form cannot hold PostgreSQL's
    #[arg(long)]
    nearest: bool,
    /// Give inserted rows another number where SQLite has given their own to another row since; what comes in with them and points to them
    /// follows, as far as foreign keys are declared
    #[arg(long)]
    new_ids: bool,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// `cutover salvage apply`: 0 when all chosen rows are in SQLite (or, in a dry run, could be), 3 when a conflict or a foreign key
/// stands in the way.
pub fn run(args: ApplyArgs) -> anyhow::Result<Exit> {
    let choice = args.choice.choice();
    if !args.all && choice == Default::default() {
        errln!(
            "cutover: say which rows: --all, --table, --row or --key; `cutover salvage show` lists them"
        );
        return Ok(Exit::Usage);
    }
    let Opened {
        folder,
        session,
        mut salvaged,
        known,
    } = open(&args.named)?;
    match known {
        Ok(None) => {}
        Ok(Some(doubt)) => errln!("WARNING: {}", printable(&doubt, 600)),
        Err(why) => bail!("{why}. Nothing was changed"),
    }
    let about = salvaged.about()?;
    let over = matches!(session.phase, Phase::RolledBack | Phase::Completed);
    if !over && args.to.is_none() {
        bail!(
            "session {} is not over yet; nothing was changed",
            about.session
        );
    }
    let file = super::source(args.to.as_ref().unwrap_or(&about.source));
    not_a_backup(&session, &about.backup, &file)?;
    // A session that is not over would take what comes in for drift; its own rows come in by this session alone.
    claim::source::is_free_for(&file, Some(&Claim::of(&folder)))?;
    let chosen = salvaged.chosen(&choice)?;
    let means = Means {
        dry_run: args.dry_run,
        skip_conflicts: args.skip_conflicts,
        nearest: args.nearest,
        new_ids: args.new_ids,
    };
    let deletions = salvaged.deletions(&chosen, &file)?;
    if !may_delete(&args, &deletions, &file) {
        return Ok(Exit::NoGo);
    }
    if !means.dry_run {
        let why = "nothing was brought in, because it could not be noted";
        salvaged.can_note().context(why)?;
    }
    let outcome = apply(&salvaged, &chosen, &file, means)?;
    let applied = outcome.applied();
    let noted = match outcome.committed {
        true => {
            let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
            salvaged.note_applied(&applied, &file, &now)
        }
        false => Ok(()),
    };
    let stands = outcome.conflicts() + outcome.violations.len() > 0;
    let left_out = stands && !(outcome.committed && args.skip_conflicts);
    if args.json {
        let mut told = serde_json::to_value(&outcome)?;
        told["session"] = session.charter.session.clone().into();
        outln!("{told}");
    } else {
        print(
            &session.charter.session,
            &outcome,
            &args,
            &file.display().to_string(),
        );
    }
    if let Err(error) = noted {
        bail!(
            "{} rows ARE in {}; that could not be noted in {NAME}: {error}. Rows with a key are found there the next time; rows of tables \
             without one would come twice",
            applied.len(),
            file.display()
        );
    }
    Ok(if left_out { Exit::NoGo } else { Exit::Done })
}

/// Says how many rows would be deleted, and whether that was said by whoever asks: rows that are gone from PostgreSQL for another reason than
/// a user's wish go with everything else that is chosen.
fn may_delete(args: &ApplyArgs, deletions: &BTreeMap<String, u64>, file: &Path) -> bool {
    let sum: u64 = deletions.values().sum();
    if sum > 0 {
        let tables = deletions.iter();
        let tables = tables.map(|(table, n)| format!("{} {n}", printable(table, 80)));
        errln!(
            "{sum} rows of {} are to be deleted, for PostgreSQL no longer had them: {}",
            file.display(),
            tables.collect::<Vec<_>>().join(", ")
        );
    }
    let said = args.deletes.unwrap_or(0);
    if args.dry_run || said == sum {
        return true;
    }
    errln!(
        "cutover: nothing was changed: {said} deletions were agreed to (--deletes), and there are {sum}. `--deletes {sum}` agrees to them; \
         --table, --row and --key choose other rows"
    );
    false
}

/// Refuses the session's own backups, by whatever name: what comes in would make them worth nothing.
fn not_a_backup(session: &Session, backup: &Path, file: &Path) -> anyhow::Result<()> {
    let kept = session.backups()?;
    let is_same = |one: &Path| match (sqlite::identity(one), sqlite::identity(file)) {
        (Ok(one), Ok(file)) => one == file,
        _ => false,
    };
    let mut all = kept.iter().map(|kept| kept.path.as_path()).chain([backup]);
    if let Some(one) = all.find(|one| is_same(one)) {
        bail!(
            "{} is the session's own backup {}; nothing was changed. Copy it, and try on the copy",
            file.display(),
            one.display()
        );
    }
    Ok(())
}

fn print(session: &str, outcome: &Outcome, args: &ApplyArgs, file: &str) {
    let (mut conflicts, mut skipped, mut there) = (Vec::new(), Vec::new(), 0);
    for row in &outcome.rows {
        match &row.fate {
            Fate::Conflict(why) => conflicts.push((row, why.as_str())),
            Fate::Skipped(why) => skipped.push((row, why.as_str())),
            Fate::Already => there += 1,
            Fate::Applied => {}
        }
    }
    list("conflict", "conflicts", &conflicts);
    list("skipped", "skipped rows", &skipped);
    for violation in outcome.violations.iter().take(LISTED) {
        outln!("foreign key: {}", printable(violation, 300));
    }
    list_new_numbers(outcome);
    let (applied, conflicts) = (outcome.applied().len(), conflicts.len());
    let with_them = match skipped.len() {
        0 => String::new(),
        skipped => format!(", {skipped} are skipped with them"),
    };
    let end = match (outcome.committed, args.dry_run) {
        (true, _) => format!("{applied} rows brought into {file}"),
        (false, true) => {
            format!("dry run: {applied} rows would be brought into {file}; it is unchanged")
        }
        (false, false) => format!("nothing was brought in; {file} is unchanged"),
    };
    outln!(
        "session {session}: {end}; {there} were there already, {conflicts} have a conflict{with_them}"
    );
    if !outcome.committed && !args.skip_conflicts && conflicts > 0 {
        outln!(
            "--skip-conflicts leaves them out, and what refers to them, and brings in the others"
        );
    }
}

/// Rows that have another number in SQLite.
fn list_new_numbers(outcome: &Outcome) {
    let applied = outcome.rows.iter();
    let applied = applied.filter(|row| row.fate == Fate::Applied);
    let renumbered: Vec<_> = applied.filter_map(|row| Some((row, row.new_id?))).collect();
    for (row, new_id) in renumbered.iter().take(LISTED) {
        outln!(
            "new number: row {} ({} {}) is {new_id} in SQLite",
            row.row,
            printable(&row.table, 80),
            printable(&row.key, 80)
        );
    }
    if renumbered.len() > LISTED {
        outln!(
            "and {} more new numbers; --json has all",
            renumbered.len() - LISTED
        );
    }
}

/// Rows that are not brought in, each with its reason.
fn list(word: &str, words: &str, rows: &[(&Brought, &str)]) {
    for (row, why) in rows.iter().take(LISTED) {
        outln!(
            "{word}: row {} ({} {} {}): {}",
            row.row,
            row.operation.word(),
            printable(&row.table, 80),
            printable(&row.key, 80),
            printable(why, 300)
        );
        print_sides(&row.sides, "    ");
    }
    if rows.len() > LISTED {
        outln!("and {} more {words}; --json has all", rows.len() - LISTED);
    }
}

/// What each side has of a row that has a conflict.
pub(super) fn print_sides(sides: &[Side], before: &str) {
    for side in sides.iter().take(SIDES) {
        outln!("{before}{}", side.line());
    }
    if sides.len() > SIDES {
        let more = sides.len() - SIDES;
        outln!("{before}and {more} more values; --json has all");
    }
}
