//! A2, A3, A4: the backup, its second place, and proof that both can be read.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::announce::run_action;
use super::context::Context;
use crate::runbook::action::Placeholders;
use crate::runbook::{Action, Place};
use crate::session::{Check, Outcome};
use crate::source::{self, backup as copy, digest, drill as restore, store as second};

/// The backup as later steps need it; fact `backup`, of A2 and (as `second_copy`) of A3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Where it is.
    pub path: PathBuf,
    /// Its checksum.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
    /// How long it is kept, in milliseconds.
    pub keep_ms: i64,
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
            let kept = Kept {
                path,
                sha256,
                size_bytes,
                keep_ms,
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
                .with_fact("backup", kept)
        }
        Err(why) => Outcome::failed(format!("no backup was made: {why}")).with_check(Check::new(
            "backup_checksum",
            false,
            why,
        )),
    }
}

/// One name per session and freeze, so that a new freeze never takes an old backup for its own.
fn destination(ctx: &Context, to: &Path) -> PathBuf {
    let frozen_ms = ctx.session.freeze().map_or(0, |(since_ms, _)| since_ms);
    to.join(format!("{}-{frozen_ms}.db", ctx.session.charter.session))
}

fn whole_copy(path: &Path) -> Option<(PathBuf, String, u64, usize)> {
    let sha256 = digest::recorded(path).ok()?;
    copy::verify(path, &sha256).ok()?;
    Some((path.to_owned(), sha256, path.metadata().ok()?.len(), 0))
}

/// A3: a copy in the second place, read back from there and verified.
pub async fn store(ctx: &Context, place: &Place, keep_ms: i64) -> Outcome {
    let kept: Kept = match ctx.need("backup") {
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
        Ok((path, where_)) => Outcome::done(where_)
            .with_check(Check::new(
                "second_copy",
                true,
                "read back; the checksum is the same",
            ))
            .with_fact(
                "second_copy",
                Kept {
                    path,
                    keep_ms,
                    ..kept
                },
            ),
        Err(why) => Outcome::failed(format!("the second copy cannot be trusted: {why}"))
            .with_check(Check::new("second_copy", false, why)),
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
    let returned = ctx.folder.dir().join("read-back.db");
    let name = kept
        .path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let values = |path: &Path| {
        Placeholders::new()
            .with("file", path.to_string_lossy())
            .with("name", name.clone())
    };
    run_action(ctx, upload, &values(&kept.path), "upload").await?;
    let _ = std::fs::remove_file(&returned);
    run_action(ctx, read_back, &values(&returned), "read-back").await?;
    copy::verify(&returned, &kept.sha256).map_err(|e| e.to_string())?;
    Ok((returned, "uploaded, read back and verified".to_owned()))
}

/// A4: opens each copy, checks it, counts every table and runs the sample queries; both must answer alike.
pub async fn drill(ctx: &Context, queries: &[String]) -> Outcome {
    let first: Kept = match ctx.need("backup") {
        Ok(kept) => kept,
        Err(missing) => return missing,
    };
    let copies: Vec<Kept> = std::iter::once(first)
        .chain(ctx.fact::<Kept>("second_copy"))
        .collect();
    let (queries, cancel) = (queries.to_vec(), ctx.cancel.clone());
    let scratch = ctx.folder.dir().join("drill");
    let drilled =
        tokio::task::spawn_blocking(move || -> Result<Vec<restore::Drill>, source::Error> {
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
        .with_fact("counts", &drills[0].tables)
}
