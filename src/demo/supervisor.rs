//! The supervisor of a sandbox: the one process that owns the others.
//!
//! It starts PostgreSQL (or makes two databases on a server that is there), the instances, the traffic and the chat webhook, answers the control
//! socket, and ends everything when it is asked to, when whoever started it is gone (or nobody has been there for half an hour), or, by way of the
//! reaper, when it is killed. Not in here: the handle that others hold ([`super::sandbox`]).

mod chat;
mod damage;
mod database;
mod fleet;
mod rehearsal;
mod server;
mod sites;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::process::Child;
use tokio_util::sync::CancellationToken;

use super::cluster::random_password;
use super::control::{STATE_FILE, State};
use super::layout::Layout;
use super::reaper::Reaper;
use super::sample::{self, Script};
use super::traffic::{self, Traffic};
use crate::private_file;
use database::Database;
pub(super) use database::privileges;
use fleet::Fleet;
use sites::Sites;

/// The hidden subcommand that runs [`main`].
pub(super) const SUBCOMMAND: &str = "sandbox";
/// The variable by which a supervisor is told of a server that is there.
pub(super) const POSTGRES: &str = "CUTOVER_DEMO_POSTGRES";
/// What the supervisor says on standard output once everything runs.
pub(super) const READY: &str = "ready";

/// How long the instances have to become ready.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long the instances may take to stop before the reaper is left to it.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// When the sandbox ends without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Lifetime {
    /// With the process that started it.
    Starter,
    /// When nobody has been there for a while; it survives the death of a terminal.
    Session,
}

/// What kind of sandbox.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Its folder.
    #[arg(long)]
    pub dir: PathBuf,
    /// Whether the folder goes with the sandbox.
    #[arg(long)]
    pub remove_dir: bool,
    /// Rows of sample data.
    #[arg(long, default_value_t = sample::DEFAULT_ROWS)]
    pub rows: u32,
    /// The seed of data and traffic.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many times faster the runbook's minutes pass.
    #[arg(long, default_value_t = 1)]
    pub speed: u32,
    /// Production instances; a staging instance comes on top.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=32))]
    pub instances: u32,
    /// Requests per second from simulated users; 0 for none.
    #[arg(long, default_value_t = 150)]
    pub rate: u32,
    /// When it ends without being asked.
    #[arg(long, value_enum, default_value = "session")]
    pub lifetime: Lifetime,
    /// A server that is there, for two databases of the sandbox's; a server of its own where absent. Whoever starts us says it here, and
    /// not where every process list shows it.
    #[arg(skip = std::env::var(POSTGRES).ok())]
    pub postgres: Option<String>,
    /// For how many seconds nobody needs to be there.
    #[arg(long, default_value_t = 30 * 60)]
    pub idle_seconds: u64,
}

impl Arguments {
    /// The production instances, in order.
    fn production(&self) -> Vec<String> {
        (1..=self.instances)
            .map(|number| format!("app-{number}"))
            .collect()
    }
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{what}: {source}")]
    Io {
        what: String,
        source: std::io::Error,
    },
    #[error(transparent)]
    Database(#[from] database::Failure),
    #[error(transparent)]
    Sample(#[from] sample::Error),
    #[error("the simulated users' HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    #[error("{instance} did not become ready within {} s; its log is {}", READY_LIMIT.as_secs(), .log.display())]
    NotReady { instance: String, log: PathBuf },
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

/// A sandbox in which everything runs.
struct Running {
    layout: Layout,
    production: Vec<String>,
    fleet: Fleet,
    traffic: Traffic,
    database: Arc<Mutex<Database>>,
    second_writer: tokio::sync::Mutex<Option<Child>>,
    reaper: Arc<Mutex<Reaper>>,
    presence: Presence,
    stop: CancellationToken,
}

/// Whether somebody is there.
struct Presence {
    /// Open attendances, and when somebody was last heard of.
    state: Mutex<(usize, Instant)>,
}

impl Presence {
    fn new() -> Self {
        Self {
            state: Mutex::new((0, Instant::now())),
        }
    }

    /// Somebody came (1), went (-1) or asked something (0).
    fn note(&self, change: isize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = (state.0.saturating_add_signed(change), Instant::now());
    }

    fn absent_for(&self) -> Duration {
        match *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            (0, since) => since.elapsed(),
            _ => Duration::ZERO,
        }
    }
}

/// The body of the supervisor process.
pub(super) fn main(arguments: Arguments) -> ExitCode {
    // Out of the terminal's session: closing the terminal is not how a sandbox ends.
    let _ = rustix::process::setsid();
    // reqwest wants one to be there, even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let outcome = runtime
        .map_err(io("starting a runtime"))
        .and_then(|runtime| {
            let outcome = runtime.block_on(run(arguments));
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.to_string());
            errln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// One line for whoever started us; nobody may be listening any more.
fn say(line: &str) {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{}", line.replace('\n', " ")).and_then(|()| stdout.flush());
}

async fn run(arguments: Arguments) -> Result<(), Error> {
    let program = std::env::current_exe().map_err(io("finding our own binary"))?;
    let reaper = Reaper::start(&program).map_err(io("starting the reaper"))?;
    let reaper = Arc::new(Mutex::new(reaper));
    let stop = CancellationToken::new();
    let lifetime = arguments.lifetime;
    let idle_limit = Duration::from_secs(arguments.idle_seconds);
    let asked = asked_to_stop(lifetime, stop.clone());
    tokio::pin!(asked);
    let running = tokio::select! {
        started = start(arguments, &program, reaper.clone(), stop.clone()) => started?,
        () = &mut asked => return Ok(()),
    };
    say(READY);
    let nobody = async {
        while lifetime == Lifetime::Starter || running.presence.absent_for() < idle_limit {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = &mut asked => {}
        () = nobody => {}
    }
    stop.cancel();
    let _ = tokio::time::timeout(STOP_LIMIT, running.fleet.stop_all()).await;
    Ok(())
}

/// Returns when the sandbox is to end by order: a signal, a request, the end of whoever started it.
async fn asked_to_stop(lifetime: Lifetime, stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    if lifetime == Lifetime::Starter {
        let stop = stop.clone();
        std::thread::spawn(move || {
            let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
            stop.cancel();
        });
    }
    let kinds = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    );
    let (Ok(mut term), Ok(mut interrupt), Ok(mut hangup)) = kinds else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
        // With its terminal gone a sandbox of a session goes on.
        _ = hangup.recv(), if lifetime == Lifetime::Starter => {}
        () = stop.cancelled() => {}
    }
}

async fn start(
    arguments: Arguments,
    program: &Path,
    reaper: Arc<Mutex<Reaper>>,
    stop: CancellationToken,
) -> Result<Arc<Running>, Error> {
    let layout = Layout {
        dir: arguments.dir.clone(),
    };
    let socket = prepare_folders(&layout, arguments.remove_dir, &reaper)?;
    let database = start_data(&layout, &arguments, program, reaper.clone()).await?;
    let sites = Sites::choose(&arguments)?;
    let token = random_password();
    let environment = sites.environment(&layout, &database, program, &token);
    layout
        .write_environment(&environment)
        .map_err(io("writing the environment"))?;
    std::fs::write(layout.migrations(), sample::migration_script(Script::Good))
        .map_err(io("writing the migrations"))?;
    for (name, port) in &sites.instances {
        sites::configure(&layout, name, *port, &database.target_runtime, &token)
            .map_err(io(format!("configuring {name}")))?;
    }
    let fleet = Fleet::new(
        &layout,
        sites.instances.keys(),
        program,
        reaper.clone(),
        stop.clone(),
    );
    fleet
        .start_all()
        .await
        .map_err(io("starting the instances"))?;
    tokio::spawn(chat::serve(sites.chat, layout.chat(), stop.clone()));
    let client = traffic::client()?;
    let production = arguments.production();
    for name in &production {
        wait_until_ready(&client, &layout, name, &sites.url(name)).await?;
    }
    let backends = production
        .iter()
        .map(|name| (name.clone(), sites.url(name)))
        .collect();
    let users = traffic::Users {
        rate: arguments.rate,
        seed: arguments.seed,
        backends,
    };
    let traffic =
        Traffic::start(client, users, &layout, stop.clone()).map_err(io("starting the traffic"))?;
    let state = State {
        pid: std::process::id(),
        socket: socket.clone(),
        speed: arguments.speed,
        rows: arguments.rows,
        seed: arguments.seed,
        damage_url: database.damage_url(),
        postgres_log: database.log_path(),
        foreign_server: database.host(),
    };
    let running = Arc::new(Running {
        layout,
        production,
        fleet,
        traffic,
        database: Arc::new(Mutex::new(database)),
        second_writer: tokio::sync::Mutex::new(None),
        reaper,
        presence: Presence::new(),
        stop,
    });
    server::listen(&socket, running.clone())
        .map_err(io(format!("listening on {}", socket.display())))?;
    let json = serde_json::to_vec_pretty(&state).expect("BUG: the state is plain data");
    private_file::write(&running.layout.dir.join(STATE_FILE), &json)
        .map_err(io("writing the state"))?;
    Ok(running)
}

/// Makes the folders and tells the reaper which of them go; returns where the socket will be. It is not in the sandbox's own
/// folder, whose path may be longer than a socket's may.
fn prepare_folders(
    layout: &Layout,
    remove: bool,
    reaper: &Mutex<Reaper>,
) -> Result<PathBuf, Error> {
    let folder = tempfile::Builder::new()
        .prefix("cutover-ctl-")
        .tempdir()
        .map_err(io("making a folder for the socket"))?;
    let mut reaper = reaper.lock().unwrap_or_else(PoisonError::into_inner);
    // Told of first, so that it goes last: whoever ends the sandbox waits until it is gone.
    reaper
        .folder(folder.path())
        .map_err(io("telling the reaper"))?;
    if remove {
        reaper
            .folder(&layout.dir)
            .map_err(io("telling the reaper"))?;
    }
    layout
        .make()
        .map_err(io(format!("making folders in {}", layout.dir.display())))?;
    Ok(folder.keep().join("control.sock"))
}

/// The SQLite file and PostgreSQL, at the same time.
async fn start_data(
    layout: &Layout,
    arguments: &Arguments,
    program: &Path,
    reaper: Arc<Mutex<Reaper>>,
) -> Result<Database, Error> {
    let (live, rows, seed) = (layout.live(), arguments.rows, arguments.seed);
    let file = tokio::task::spawn_blocking(move || sample::create(&live, rows, seed));
    let (program, layout, arguments) = (program.to_path_buf(), layout.clone(), arguments.clone());
    let database = tokio::task::spawn_blocking(move || {
        Database::start(&program, &layout, &arguments, &reaper)
    });
    let (file, database) = tokio::join!(file, database);
    file.expect("BUG: writing the sample panicked")?;
    Ok(database.expect("BUG: starting PostgreSQL panicked")?)
}

async fn wait_until_ready(
    client: &reqwest::Client,
    layout: &Layout,
    name: &str,
    url: &str,
) -> Result<(), Error> {
    let deadline = Instant::now() + READY_LIMIT;
    while !traffic::is_ready(client, url).await {
        if Instant::now() > deadline {
            return Err(Error::NotReady {
                instance: name.to_string(),
                log: layout.instance_log(name),
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
