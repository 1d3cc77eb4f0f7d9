//! F1 by a key: the same key in every configuration file. Nothing is written unless every file says what it should, and no file before
//! its former bytes and how to put them back are durable.

use std::path::Path;

use crate::action::config_file::Edit;
use crate::journal::files;
use crate::private_file;
use crate::runbook::SwitchedKey;
use crate::session::Undo;
use crate::step::configuration::{self, Place, Verdict};
use crate::step::context::Context;

use super::{former, former_path};

/// Changes the key in every file. Says what was done.
///
/// # Errors
/// Which file is in the way, and why; in what state the others are.
pub(super) async fn switch(ctx: &Context, key: SwitchedKey<'_>) -> Result<String, String> {
    if ctx.runbook.fleet.config.is_none() {
        return Err(
            "`fleet.config` is not in the runbook, and a switch by key needs it".to_owned(),
        );
    }
    let planned = plan(ctx, key)?;
    let total = planned.len();
    let mut written = 0;
    for (place, edit) in planned {
        let Some(edit) = edit else {
            written += 1;
            continue;
        };
        let so_far = |why: String| match written {
            0 => format!("{why}. No file was changed"),
            n => format!("{why}. {n} of {total} files are switched"),
        };
        keep_former(ctx, &edit).map_err(so_far)?;
        let undo = Undo::Config {
            instance: place.whose(),
            path: edit.path.clone(),
            former_sha256: edit.former_sha256.clone(),
            written_sha256: edit.written_sha256.clone(),
        };
        let recorded = ctx.reporter.undo(undo).await;
        recorded.map_err(|e| so_far(e.to_string()))?;
        edit.apply().map_err(|e| so_far(e.to_string()))?;
        written += 1;
        ctx.reporter.line(&format!(
            "{}: {} = {}",
            edit.path.display(),
            key.name,
            key.to
        ));
    }
    Ok(format!(
        "{} is {} in {total} configuration files; the former bytes of each are kept",
        key.name, key.to
    ))
}

/// Writes the value of before into every file again.
///
/// # Errors
/// Which file is in the way, and why.
pub(super) fn back(ctx: &Context, name: &str, from: &str) -> Result<(), String> {
    for place in configuration::places(ctx) {
        let edit = Edit::prepare(&place.path, name, from);
        let written = edit.and_then(|edit| edit.apply());
        written.map_err(|e| format!("{} ({}): {e}", place.path.display(), place.whose()))?;
    }
    Ok(())
}

/// What is to be done with each file, before anything is. `None`: this session has written it already.
fn plan(ctx: &Context, key: SwitchedKey<'_>) -> Result<Vec<(Place, Option<Edit>)>, String> {
    let mut planned = Vec::new();
    for place in configuration::places(ctx) {
        let edit = Edit::prepare(&place.path, key.name, key.to);
        let edit = edit.map_err(|e| format!("{e}. No file was changed"))?;
        let on_record = undo_of(ctx, &place.path);
        let verdict =
            configuration::verdict(key, edit.former_value.as_deref(), on_record.is_some());
        match (verdict, on_record) {
            (Verdict::Switch, _) => planned.push((place, Some(edit))),
            (Verdict::Switched, Some(former_sha256)) => {
                is_kept(ctx, former_sha256)
                    .map_err(|why| format!("{}: {why}", place.path.display()))?;
                planned.push((place, None));
            }
            (Verdict::Switched, None) => {
                unreachable!("BUG: switched means that its undo is on record")
            }
            (Verdict::Refuse(why), _) => {
                return Err(format!(
                    "{} ({}): {why}",
                    place.path.display(),
                    place.whose()
                ));
            }
        }
    }
    Ok(planned)
}

/// Hash of the former bytes that this session has recorded of a file.
fn undo_of<'a>(ctx: &'a Context, file: &Path) -> Option<&'a str> {
    ctx.session
        .config_undos()
        .into_iter()
        .find_map(|undo| match undo {
            Undo::Config {
                path,
                former_sha256,
                ..
            } if path == file => Some(former_sha256.as_str()),
            _ => None,
        })
}

/// Configuration holds secrets: only the engine's user may read what is kept of it.
fn keep_former(ctx: &Context, edit: &Edit) -> Result<(), String> {
    let path = former_path(ctx, &edit.former_sha256);
    let kept = files::folder(&ctx.folder, &files::FORMER)
        .and_then(|_| private_file::write(&path, &edit.former));
    kept.map_err(|e| format!("{}: {e}", path.display()))
}

/// The former bytes are where a rollback looks for them, and are what they were.
fn is_kept(ctx: &Context, sha256: &str) -> Result<(), String> {
    former(ctx, sha256)
        .map(drop)
        .map_err(|why| format!("the former bytes that were kept of it {why}"))
}
