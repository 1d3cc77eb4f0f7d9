//! Lends the staging slot to a rehearsal: it serves from a copy of the data and moves to the scratch database, which is empty
//! when the rehearsal begins.

use std::sync::PoisonError;

use super::Running;
use crate::demo::layout::STAGING;
use crate::private_file;
use crate::runbook::rehearsal;

/// Why staging could not be lent or taken back.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{what}: {source}")]
    Io {
        what: String,
        source: std::io::Error,
    },
    #[error(transparent)]
    Database(#[from] super::database::Failure),
    #[error(transparent)]
    Fleet(#[from] super::fleet::Error),
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

/// Empties the scratch database and restarts staging on the rehearsal's copy. The copy need not be there yet: an instance
/// without its file is started again until it is.
pub(super) async fn begin(running: &Running) -> Result<(), Error> {
    let layout = &running.layout;
    std::fs::create_dir_all(layout.rehearsal()).map_err(io("making the rehearsal's folder"))?;
    running.fleet.stop(STAGING).await?;
    let database = running.database.clone();
    let emptied = tokio::task::spawn_blocking(move || {
        let database = database.lock().unwrap_or_else(PoisonError::into_inner);
        database
            .empty_scratch()
            .map(|()| database.scratch_runtime.clone())
    });
    let scratch = emptied
        .await
        .expect("BUG: emptying the scratch database panicked")?;
    let (kept, config) = (kept(running), layout.instance_config(STAGING));
    if !kept.exists() {
        std::fs::copy(&config, &kept).map_err(io("keeping staging's configuration"))?;
    }
    let text = std::fs::read_to_string(&kept).map_err(io("reading staging's configuration"))?;
    let copy = layout.rehearsal().join("tools.db");
    let maintenance = rehearsal::own_folder(&copy).join(rehearsal::MAINTENANCE);
    let text = with_values(
        &text,
        &[
            ("DatabaseProvider", "Sqlite"),
            ("SqlitePath", &copy.display().to_string()),
            ("MaintenanceFile", &maintenance.display().to_string()),
            ("PostgresUrl", &scratch),
        ],
    );
    private_file::write(&config, text.as_bytes()).map_err(io("writing staging's configuration"))?;
    Ok(running.fleet.start(STAGING).await?)
}

/// Gives staging its own configuration back.
pub(super) async fn end(running: &Running) -> Result<(), Error> {
    let kept = kept(running);
    if kept.exists() {
        std::fs::rename(&kept, running.layout.instance_config(STAGING))
            .map_err(io("restoring staging's configuration"))?;
    }
    Ok(running.fleet.restart(STAGING, false).await?)
}

/// Staging's own configuration while it is lent.
fn kept(running: &Running) -> std::path::PathBuf {
    running.layout.instance(STAGING).join("app.env.own")
}

/// The file with these values in place of its own.
fn with_values(text: &str, values: &[(&str, &str)]) -> String {
    let replaced = text.lines().map(|line| {
        let key = line.split_once('=').map(|(key, _)| key);
        match values.iter().find(|(name, _)| Some(*name) == key) {
            Some((name, value)) => format!("{name}={value}\n"),
            None => format!("{line}\n"),
        }
    });
    replaced.collect()
}

#[cfg(test)]
mod tests {
    use super::with_values;

    #[test]
    fn only_the_named_keys_change() {
        let text = "# Port=1\nPort=1\nPortal=2\n";
        assert_eq!(
            with_values(text, &[("Port", "9")]),
            "# Port=1\nPort=9\nPortal=2\n"
        );
    }
}
