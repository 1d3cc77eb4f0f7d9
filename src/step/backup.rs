//! A2, A3, A4: the backup, its second place, and proof that both can be read.

use std::path::{Path, PathBuf};

use super::announce::run_action;
use super::context::Context;
use crate::journal::files;
use crate::runbook::action::Placeholders;
use crate::runbook::{Action, Place};
use crate::session::facts::{Backup, Counts, SecondCopy};
use crate::session::{Check, Found, Outcome};
use crate::sqlite::stamp::Stamp;
use crate::sqlite::{self, backup as copy, content, digest, drill as restore, store as second};

pub use crate::session::facts::Kept;

impl Kept {
    /// Whether the file is still the one whose checksum was recorded: the system says so at once, or its checksum does. Blocks.
    ///
    /// # Errors
    /// It is gone, or holds other bytes; for people.
    pub fn unchanged(&self) -> Result<(), String> {
        if self.stamp.is_some() && Stamp::of(&self.path).ok() == self.stamp {
            return Ok(());
        }
        self.verify()
    }

    /// Reads the file again and compares its checksum. Blocks.
    ///
    /// # Errors
    /// It is gone, or holds other bytes; for people.
    pub fn verify(&self) -> Result<(), String> {
        copy::verify(&self.path, &self.sha256).map_err(|error| error.to_string())
    }

    /// In what a file differs from this copy, in words. Blocks, and reads both whole.
    pub fn differs_from(&self, file: &Path) -> Option<String> {
        let is_same = || {
            self.unchanged()?;
            let digest = |path| content::digest(path).map_err(|error| error.to_string());
            Ok::<bool, String>(digest(file)? == digest(&self.path)?)
        };
        match is_same() {
            Ok(true) => None,
            Ok(false) => Some("its content is no longer that of the backup".to_owned()),
            Err(why) => Some(format!(
                "its content cannot be compared with the backup: {why}"
            )),
        }
    }
}

/// Under this name a step says that the backup is another file than A2 recorded.
const UNCHANGED: &str = "backup_unchanged";

/// The backup of A2, for a step that reads it; see [`still_proven`].
///
/// # Errors
/// No step made one, or it is no longer the file whose checksum A2 recorded: nothing may be built on it.
pub async fn proven(ctx: &Context) -> Result<Kept, Outcome> {
    let Backup(kept) = ctx.need()?;
    if kept
        .frozen_ms
        .is_some_and(|of| Some(of) != ctx.session.frozen_ms())
    {
        return Err(changed(
            "it was made before the freeze was raised anew, and lacks what was written in between",
        ));
    }
    match unchanged(&kept).await {
        Ok(()) => Ok(kept),
        Err(why) => Err(changed(&why)),
    }
}

/// What a step came to that has read the backup; failed where the backup was changed meanwhile, for then nobody knows what was read.
pub async fn still_proven(kept: &Kept, outcome: Outcome) -> Outcome {
    match unchanged(kept).await {
        Ok(()) => outcome,
        Err(why) => changed(&why),
    }
}

/// Reads the whole backup beside the checks of a step, and compares its checksum once more.
pub async fn read_again(kept: &Kept) -> Result<(), Outcome> {
    let kept = kept.clone();
    let read = tokio::task::spawn_blocking(move || kept.verify()).await;
    read.expect("BUG: verifying does not panic")
        .map_err(|why| changed(&why))
}

async fn unchanged(kept: &Kept) -> Result<(), String> {
    let kept = kept.clone();
    tokio::task::spawn_blocking(move || kept.unchanged())
        .await
        .expect("BUG: verifying does not panic")
}

fn changed(why: &str) -> Outcome {
    Outcome::failed(format!(
        "the backup is not the file whose checksum A2 recorded: {why}. Nothing was written to the live SQLite file by this. PostgreSQL may hold what was \
         read of the changed file, so do not switch to it: roll back, find out who writes into the backup's folder, and begin again"
    ))
    .with_check(Check::new(UNCHANGED, false, why))
}

/// A2: an immutable copy with its checksum, checked. A whole copy of this session from an attempt that was cut off is taken over.
pub async fn backup(ctx: &Context, to: &Path, keep_ms: i64) -> Outcome {
    if let Some(drift) = super::writes::drift(ctx).await {
        return Outcome::failed(format!(
            "{drift}: the freeze does not hold, so a backup would not be the last word"
        ));
    }
    let file = ctx.runbook.source.file.clone();
    let destination = destination(ctx, to);
    let reporter = ctx.reporter.clone();
    let cancel = ctx.cancel.clone();
    let taken = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(destination.parent().unwrap_or(Path::new(".")))
            .map_err(|e| format!("{}: {e}", destination.display()))?;
        if let Some(whole) = whole_copy(&destination) {
            return Ok(whole);
        }
        let mut progress =
            |p: copy::Progress| reporter.progress("pages", p.pages_done, p.pages_total, "pages");
        copy::take(&file, &destination, &mut progress, &cancel)
            .map(|b| (b.path, b.sha256, b.size_bytes, b.orphans.len()))
            .map_err(|e| e.to_string())
    })
    .await
    .expect("BUG: the backup does not panic");
    match taken {
        Ok((path, sha256, size_bytes, orphans)) => {
            let stamp = match Stamp::of(&path) {
                Ok(stamp) => Some(stamp),
                Err(error) => {
                    return Outcome::failed(format!("{}: {error}", path.display()));
                }
            };
            let kept = Kept {
                path,
                sha256,
                size_bytes,
                keep_ms,
                frozen_ms: ctx.session.frozen_ms(),
                stamp,
            };
            let mut summary = format!(
                "{} ({} bytes), sha256 {}",
                kept.path.display(),
                kept.size_bytes,
                &kept.sha256[..12]
            );
            if orphans > 0 {
                summary.push_str(&format!("; {orphans} tables hold rows that point nowhere"));
            }
            Outcome::done(summary)
                .with_check(Check::new(
                    "backup_checksum",
                    true,
                    "integrity_check passed; checksum recorded",
                ))
                .with_fact(Backup(kept))
        }
        Err(why) => Outcome::failed(format!("no backup was made: {why}")).with_check(Check::new(
            "backup_checksum",
            false,
            why,
        )),
    }
}

/// One name per session and freeze, so that a new freeze never takes an old backup for its own: also after drift, when the clock of the
/// freeze goes on.
fn destination(ctx: &Context, to: &Path) -> PathBuf {
    let frozen_ms = ctx.session.frozen_ms().unwrap_or(0);
    to.join(format!("{}-{frozen_ms}.db", ctx.session.charter.session))
}

fn whole_copy(path: &Path) -> Option<(PathBuf, String, u64, usize)> {
    let sha256 = digest::recorded(path).ok()?;
    copy::verify(path, &sha256).ok()?;
    Some((path.to_owned(), sha256, path.metadata().ok()?.len(), 0))
}

/// A3: a copy in the second place, read back from there and verified.
pub async fn store(ctx: &Context, place: &Place, keep_ms: i64) -> Outcome {
    let kept = match proven(ctx).await {
        Ok(kept) => kept,
        Err(missing) => return missing,
    };
    let stored = match place {
        Place::Directory(folder) => store_in(ctx, &kept, folder.clone()).await,
        Place::Commands { upload, read_back } => {
            upload_and_read_back(ctx, &kept, upload, read_back).await
        }
    };
    match stored {
        Ok((path, where_)) => second_copy(kept, path, keep_ms, where_),
        Err(why) => Outcome::failed(format!("the second copy cannot be trusted: {why}"))
            .with_check(Check::new("second_copy", false, why)),
    }
}

fn second_copy(kept: Kept, path: PathBuf, keep_ms: i64, summary: String) -> Outcome {
    let second = Kept {
        path,
        keep_ms,
        stamp: None,
        ..kept
    };
    let check = Check::new("second_copy", true, "read back; the checksum is the same");
    Outcome::done(summary)
        .with_check(check)
        .with_fact(SecondCopy(second))
}

/// What A3 had done when the engine died. A folder is looked at by the step itself; what was sent elsewhere is read back, and sent again only
/// where nothing whole is there.
pub async fn find_out(ctx: &Context, place: &Place, keep_ms: i64) -> Found {
    let again = |detail: String| Found::RunAgain { detail };
    let read_back = match place {
        Place::Directory(_) => {
            return again(
                "a copy gets its name only once it is whole; one that is there is read again"
                    .to_owned(),
            );
        }
        Place::Commands { read_back, .. } => read_back,
    };
    let kept = match ctx.need() {
        Ok(Backup(kept)) => kept,
        Err(missing) => return again(missing.summary),
    };
    match fetch(ctx, &kept, read_back).await {
        Ok(path) => Found::Done {
            outcome: second_copy(
                kept,
                path,
                keep_ms,
                "it had been uploaded; read back and verified".to_owned(),
            ),
        },
        Err(why) => again(format!(
            "nothing whole is at the second place ({why}); it is sent again"
        )),
    }
}

async fn store_in(
    ctx: &Context,
    kept: &Kept,
    folder: PathBuf,
) -> Result<(PathBuf, String), String> {
    let (kept, reporter, cancel) = (kept.clone(), ctx.reporter.clone(), ctx.cancel.clone());
    tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut progress =
            |p: copy::Progress| reporter.progress("pages", p.pages_done, p.pages_total, "pages");
        let stored =
            second::store_directory(&kept.path, &kept.sha256, &folder, &mut progress, &cancel)
                .map_err(|e| e.to_string())?;
        let same = if stored.on_another_disk {
            ""
        } else {
            " (on the same disk as the first)"
        };
        Ok((
            stored.path.clone(),
            format!("{}{same}, read back and verified", stored.path.display()),
        ))
    })
    .await
    .expect("BUG: storing does not panic")
}

async fn upload_and_read_back(
    ctx: &Context,
    kept: &Kept,
    upload: &Action,
    read_back: &Action,
) -> Result<(PathBuf, String), String> {
    let sending = placeholders(kept, &kept.path);
    run_action(ctx, upload, &sending, "upload").await?;
    let returned = fetch(ctx, kept, read_back).await?;
    Ok((returned, "uploaded, read back and verified".to_owned()))
}

/// What the second place has under the backup's name, verified.
async fn fetch(ctx: &Context, kept: &Kept, read_back: &Action) -> Result<PathBuf, String> {
    let returned = files::READ_BACK.path(&ctx.folder);
    let _ = crate::ours::file::remove(&returned);
    run_action(ctx, read_back, &placeholders(kept, &returned), "read-back").await?;
    copy::verify(&returned, &kept.sha256).map_err(|e| e.to_string())?;
    Ok(returned)
}

fn placeholders(kept: &Kept, file: &Path) -> Placeholders {
    let name = kept.path.file_name().unwrap_or_default();
    Placeholders::new()
        .with("file", file.to_string_lossy())
        .with("name", name.to_string_lossy())
}

/// A4: opens each copy, checks it, counts every table and runs the sample queries; both must answer alike.
pub async fn drill(ctx: &Context, queries: &[String]) -> Outcome {
    let first = match proven(ctx).await {
        Ok(kept) => kept,
        Err(missing) => return missing,
    };
    let second = match ctx.fact() {
        Ok(second) => second.map(|SecondCopy(kept)| kept),
        Err(unreadable) => return unreadable.into(),
    };
    let copies: Vec<Kept> = std::iter::once(first).chain(second).collect();
    let (queries, cancel) = (queries.to_vec(), ctx.cancel.clone());
    let scratch = match files::folder(&ctx.folder, &files::DRILL) {
        Ok(scratch) => scratch,
        Err(error) => return Outcome::failed(error.to_string()),
    };
    let drilled =
        tokio::task::spawn_blocking(move || -> Result<Vec<restore::Drill>, sqlite::Error> {
            copies
                .iter()
                .map(|k| restore::run(&k.path, &k.sha256, &queries, Some(&scratch), &cancel))
                .collect()
        })
        .await
        .expect("BUG: the drill does not panic");
    let drills = match drilled {
        Ok(drills) => drills,
        Err(error) => {
            return Outcome::failed(format!("a copy failed its restore drill: {error}"))
                .with_check(Check::new("restore_drill", false, error.to_string()));
        }
    };
    let alike = drills
        .windows(2)
        .all(|w| w[0].tables == w[1].tables && w[0].samples == w[1].samples);
    let rows: u64 = drills
        .first()
        .map_or(0, |d| d.tables.iter().map(|t| t.rows).sum());
    let summary = format!(
        "{} copies restored: {rows} rows, {} queries each",
        drills.len(),
        drills[0].samples.len()
    );
    Outcome::done(summary)
        .with_check(Check::new(
            "restore_drill",
            alike,
            if alike {
                "all copies answer alike"
            } else {
                "the copies answer differently"
            },
        ))
        .with_fact(Counts(drills[0].tables.clone()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, PermissionsExt};

    use super::*;

    #[test]
    fn a_backup_that_was_touched_is_read_again_and_one_that_was_changed_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let live = folder.path().join("app.db");
        rusqlite::Connection::open(&live)
            .and_then(|c| c.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES ('one')"))
            .unwrap();
        let path = folder.path().join("backup.db");
        let cancel = tokio_util::sync::CancellationToken::new();
        let taken = copy::take(&live, &path, &mut |_| {}, &cancel).unwrap();
        let kept = Kept {
            path: taken.path.clone(),
            sha256: taken.sha256,
            size_bytes: taken.size_bytes,
            keep_ms: 0,
            frozen_ms: None,
            stamp: Some(Stamp::of(&taken.path).unwrap()),
        };
        assert_eq!(kept.unchanged(), Ok(()));
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, mode(0o640)).unwrap();
        assert_eq!(kept.unchanged(), Ok(()), "touched, and the same bytes");

        let before = path.metadata().unwrap().modified().unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let at = path.metadata().unwrap().len() - 2;
        file.write_at(b"X", at).unwrap();
        file.set_modified(before).unwrap();
        assert!(kept.unchanged().is_err(), "a byte, with the time put back");
        std::fs::remove_file(&path).unwrap();
        assert!(kept.unchanged().is_err(), "gone");
    }
}
