//! Whether this instance's host reaches PostgreSQL (B3): one connection, as the instance's own configuration says.

use std::path::Path;
use std::process::ExitCode;

use tokio_postgres::NoTls;

use super::config::Config;
use super::postgres::{CONNECT_LIMIT, failed};
use super::store::{Kind, StoreError};

/// Connects, says as whom and where, and disconnects.
pub fn reach(config: &Path) -> ExitCode {
    let said = Config::read(config)
        .map_err(|error| error.to_string())
        .and_then(|config| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let outcome = runtime
                .map_err(|error| error.to_string())?
                .block_on(ask(&config));
            outcome.map_err(|error| {
                format!(
                    "{}: {}: {}",
                    config.instance,
                    error.kind.name(),
                    error.message
                )
            })
        });
    match said {
        Ok(said) => {
            outln!("{said}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            errln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

async fn ask(config: &Config) -> Result<String, StoreError> {
    // The text of this error may quote the URL, and with it the password.
    let target: tokio_postgres::Config = config
        .postgres_url
        .parse()
        .map_err(|_| StoreError::new(Kind::Connection, "PostgresUrl is not a connection URL"))?;
    let connecting = tokio::time::timeout(CONNECT_LIMIT, target.connect(NoTls)).await;
    let late = |_| StoreError::new(Kind::Connection, "no connection within the time limit");
    let (client, connection) = connecting.map_err(late)?.map_err(failed)?;
    tokio::spawn(connection);
    let row = client
        .query_one("SELECT current_user::text, current_database()::text", &[])
        .await
        .map_err(failed)?;
    let (user, database): (String, String) = (row.get(0), row.get(1));
    Ok(format!(
        "{}: connected to {database} as {user}",
        config.instance
    ))
}
