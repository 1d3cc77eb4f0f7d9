//! Which file and which database: from a runbook, or from `--from` and `--to`. Shared by `plan`, `copy` and `verify`; connects to
//! nothing.

use std::path::PathBuf;

use clap::Args;

use crate::claim;
use crate::cli::load;
use crate::postgres::release::{self, Release};
use crate::postgres::{Endpoint, pooler};
use crate::runbook::transfer::Transfer;
use crate::runbook::{parse_transfer, render};
use crate::sqlite;
use crate::text::printable;

/// Both sides of a transfer.
#[derive(Debug, Clone, Args)]
pub struct PairArgs {
    /// The runbook that names both sides
    #[arg(value_name = "RUNBOOK", default_value = "runbook.yaml", conflicts_with_all = ["from", "to"])]
    pub runbook: PathBuf,
    /// SQLite file, instead of a runbook's
    #[arg(long, value_name = "FILE", requires = "to")]
    pub from: Option<PathBuf>,
    /// PostgreSQL URL, instead of a runbook's; a password belongs in PGPASSWORD or .pgpass
    #[arg(long, value_name = "URL", requires = "from")]
    pub to: Option<String>,
    /// A `transfer:` section in a file of its own
    #[arg(long, value_name = "FILE")]
    pub transfer: Option<PathBuf>,
    /// Schema that holds the application's tables
    #[arg(long, value_name = "NAME")]
    pub schema: Option<String>,
    /// One JSON object on stdout, progress on stderr
    #[arg(long)]
    pub json: bool,
}

/// What [`PairArgs`] come to.
pub struct Pair {
    /// The SQLite file.
    pub source: PathBuf,
    /// The database.
    pub target: Endpoint,
    /// Its schema.
    pub schema: String,
    /// What may be changed on the way.
    pub transfer: Transfer,
    /// By which role the application connects, where a runbook says so.
    pub runtime_role: Option<String>,
}

/// Why the arguments come to nothing; wrong usage, in the words of exit codes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub String);

impl Pair {
    /// Whether the file is there and can be read, so that the nearer end is complained of first.
    ///
    /// # Errors
    /// What [`sqlite::open_read_only`] says.
    pub fn look_at_source(&self) -> Result<(), sqlite::Error> {
        sqlite::open_read_only(&self.source).map(drop)
    }

    /// That an import may write to the target: no session which is not over has either side, for what it does there is its own; and no
    /// release was completed on the target, unless a person has typed its name (`again`).
    ///
    /// # Errors
    /// One has, or nobody can tell. Nothing was touched.
    pub async fn may_be_written(&self, again: Option<&str>) -> anyhow::Result<()> {
        claim::source::is_free_for(&self.source, None)?;
        // Before anything is told to a connection that others share, and without a name that a pooler would keep.
        pooler::refuse(&self.target).await?;
        let client = self.target.with_application_name("").connect().await?;
        claim::target::is_free(&client).await?;
        self.is_not_released(release::newest(&client).await?, again)
    }

    /// What [`Pair::may_be_written`] would refuse now, each reason by itself, for whoever only looks.
    pub async fn stands_against_writing(&self) -> Vec<String> {
        let mut found = Vec::new();
        let source = claim::source::is_free_for(&self.source, None);
        found.extend(source.err().map(|error| error.to_string()));
        match self.target.connect().await {
            Ok(client) => {
                let claimed = claim::target::is_free(&client).await;
                found.extend(claimed.err().map(|error| error.to_string()));
                let released = release::newest(&client).await.map_err(anyhow::Error::from);
                let released = released.and_then(|newest| self.is_not_released(newest, None));
                found.extend(released.err().map(|error| error.to_string()));
            }
            Err(error) => found.push(error.to_string()),
        }
        found
    }

    fn is_not_released(&self, newest: Option<Release>, again: Option<&str>) -> anyhow::Result<()> {
        let Some(released) = newest else {
            return Ok(());
        };
        let database = self.target.database();
        anyhow::ensure!(
            again == Some(database),
            "{} is in production: session {} on {} completed its release at {}. Nothing was touched. Whoever means to import into it all \
             the same types its name: `cutover copy --again {}`",
            self.target.identity(),
            printable(&released.session, 80),
            printable(&released.host, 80),
            printable(&released.completed, 40),
            printable(database, 80),
        );
        Ok(())
    }
}

impl PairArgs {
    /// Reads the runbook and the transfer section.
    ///
    /// # Errors
    /// All problems of a file, rendered for people.
    pub fn resolve(&self) -> Result<Pair, Unusable> {
        let (source, url, mut schema, mut transfer, runtime_role) = match (&self.from, &self.to) {
            (Some(from), Some(to)) => (
                from.clone(),
                to.clone(),
                "public".to_owned(),
                Transfer::default(),
                None,
            ),
            _ => {
                let loaded = load::without_fleet(&self.runbook)
                    .map_err(|error| Unusable(error.to_string()))?;
                let runbook = loaded.runbook;
                let runtime = Endpoint::parse(&runbook.target.runtime_url);
                (
                    loaded.base.join(runbook.source.file),
                    runbook.target.url,
                    runbook.target.schema,
                    runbook.transfer,
                    runtime.ok().map(|runtime| runtime.user().to_owned()),
                )
            }
        };
        if let Some(file) = &self.transfer {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Unusable(format!("{}: {error}", file.display())))?;
            transfer = parse_transfer(&file.to_string_lossy(), &text)
                .map_err(|problems| Unusable(render(&problems)))?;
        }
        if let Some(stated) = &self.schema {
            schema.clone_from(stated);
        }
        let target = Endpoint::parse(&url).map_err(|error| Unusable(error.to_string()))?;
        let target = target.telling(|sentence| errln!("cutover: {sentence}"));
        if self.to.is_some() && target.has_password_in_url() {
            errln!(
                "cutover: the URL holds a password, which every process list shows; PGPASSWORD or a .pgpass file would not"
            );
        }
        Ok(Pair {
            source,
            target,
            schema,
            transfer,
            runtime_role,
        })
    }
}
