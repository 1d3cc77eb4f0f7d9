//! The sample application: one process of the fleet, serving HTTP from SQLite or from PostgreSQL as its file says.
//!
//! It knows nothing of cutovers. What an operator can do to it is what they could do to any application: edit its
//! configuration file, restart it, create its maintenance file, read its logs and metrics. Not in here: who starts it
//! ([`super::supervisor`]).

mod config;
mod faults;
mod log;
mod metrics;
mod postgres;
mod reach;
mod routes;
mod sqlite;
mod store;

use std::io::Read;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

pub use config::{Config, ConfigError, Provider};
pub(super) use faults::AppFaults;
pub use reach::reach;
pub(super) use routes::{INSTANCE_HEADER, PROVIDER_HEADER};

use log::{Level, Log};
use metrics::Metrics;
use store::Store;

/// How long requests have to end after the process was asked to.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);
/// How long a port that the predecessor still holds is asked for.
const BIND_LIMIT: Duration = Duration::from_secs(5);

/// What every request handler sees.
struct App {
    config: Config,
    log: Log,
    metrics: Metrics,
    store: Store,
    /// When the process began, in UTC.
    started_at: chrono::DateTime<chrono::Utc>,
}

/// The body of an application process. With `supervised` it ends when its standard input does.
pub fn main(config: &Path, supervised: bool) -> ExitCode {
    let config = match Config::read(config) {
        Ok(config) => config,
        Err(error) => {
            errln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = runtime.and_then(|runtime| runtime.block_on(run(config, supervised)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            errln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config, supervised: bool) -> std::io::Result<()> {
    let log = Log::open(&config)?;
    log.write(
        Level::Information,
        "HostStarting",
        json!({"message": "host starting", "generation": config.generation}),
    );
    if faults::current(&config)
        .crash_on_start
        .contains(&config.instance)
    {
        let message = "Unable to resolve service for type 'IToolCatalogue'";
        log.write(
            Level::Critical,
            "StartFailed",
            json!({"message": message, "exception": "InvalidOperationException"}),
        );
        return Err(std::io::Error::other(message));
    }
    let store = match Store::open(&config) {
        Ok(store) => store,
        Err(error) => {
            log.exception("start", &error);
            return Err(std::io::Error::other(error.message));
        }
    };
    log.write(
        Level::Information,
        "ServicesInitialised",
        json!({"message": "services initialised", "pool_max": config.pool_max}),
    );
    let app = Arc::new(App {
        config,
        log,
        metrics: Metrics::default(),
        store,
        started_at: chrono::Utc::now(),
    });
    report_migrations(&app).await;
    let listener = bind(app.config.port).await.inspect_err(|error| {
        app.log.write(
            Level::Critical,
            "StartFailed",
            json!({"message": error.to_string(), "exception": "IOException"}),
        );
    })?;
    let message = format!(
        "host booted; now listening on http://{}",
        listener.local_addr()?
    );
    app.log.write(
        Level::Information,
        "HostBooted",
        json!({"message": message}),
    );
    tokio::spawn(faults::hold_pool_while_asked(app.clone()));
    let result = serve(listener, app.clone(), supervised).await;
    app.log.write(
        Level::Information,
        "HostStopped",
        json!({"message": "host stopped"}),
    );
    result
}

async fn serve(listener: TcpListener, app: Arc<App>, supervised: bool) -> std::io::Result<()> {
    let (stop, mut stopped) = mpsc::channel::<()>(1);
    let asked = async move {
        asked_to_stop(supervised).await;
        drop(stop);
    };
    let server = axum::serve(listener, routes::router(app)).with_graceful_shutdown(asked);
    let give_up = async {
        stopped.recv().await;
        tokio::time::sleep(SHUTDOWN_LIMIT).await;
    };
    tokio::select! {
        result = server => result,
        () = give_up => Ok(()),
    }
}

/// Returns on SIGTERM, on Ctrl-C and, where supervised, once the supervisor is gone.
async fn asked_to_stop(supervised: bool) {
    use tokio::signal::unix::{SignalKind, signal};
    let (gone, mut supervisor) = mpsc::channel::<()>(1);
    let mut _never_gone = None;
    if supervised {
        // A thread and not tokio's stdin: reading it would keep the runtime from ending.
        std::thread::spawn(move || {
            let _gone = gone;
            let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        });
    } else {
        _never_gone = Some(gone);
    }
    let (Ok(mut term), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
        _ = supervisor.recv() => {}
    }
}

/// The markers that M2 looks for.
async fn report_migrations(app: &App) {
    match app.store.pending_migrations().await {
        Ok(pending) if pending.is_empty() => {
            let message = "migrations applied; the database is up to date";
            app.log.write(
                Level::Information,
                "MigrationsUpToDate",
                json!({"message": message, "pending": pending}),
            );
        }
        Ok(pending) => {
            let message = format!("{} pending migrations", pending.len());
            app.log.write(
                Level::Warning,
                "MigrationsPending",
                json!({"message": message, "pending": pending}),
            );
        }
        Err(error) => app.log.exception("migrations", &error),
    }
}

async fn bind(port: u16) -> std::io::Result<TcpListener> {
    let deadline = Instant::now() + BIND_LIMIT;
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Err(error)
                if error.kind() == std::io::ErrorKind::AddrInUse && Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            outcome => return outcome,
        }
    }
}
