//! The subcommands that start the sandbox's own processes. They are not in `--help`: nobody types them but a runbook that
//! restarts an instance.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::control::{self, Request};
use super::faults::{self, Fault};
use super::layout::Layout;
use super::{app, reaper, second_writer, supervisor};

const NAMES: [&str; 5] = [
    reaper::SUBCOMMAND,
    "app",
    "appctl",
    supervisor::SUBCOMMAND,
    second_writer::SUBCOMMAND,
];

#[derive(Parser)]
#[command(name = "cutover")]
enum Hidden {
    /// Cleans up after the process that started it.
    Reaper,
    /// One instance of the sample application.
    App {
        /// Its configuration file.
        #[arg(long)]
        config: PathBuf,
        /// End when standard input ends.
        #[arg(long)]
        supervised: bool,
    },
    /// Operates a sandbox.
    Appctl {
        /// The sandbox's folder.
        #[arg(long, env = "APP_DIR")]
        dir: PathBuf,
        #[command(subcommand)]
        order: Order,
    },
    /// The supervisor of a sandbox.
    Sandbox(supervisor::Arguments),
    /// Writes to a SQLite file past its application.
    SecondWriter {
        /// The file.
        #[arg(long)]
        file: PathBuf,
    },
}

#[derive(Subcommand)]
enum Order {
    /// Start an instance.
    Start { name: String },
    /// Stop an instance.
    Stop { name: String },
    /// Restart an instance with its configuration as it is now.
    Restart {
        name: String,
        /// Without waiting for its requests.
        #[arg(long)]
        now: bool,
    },
    /// Connect to PostgreSQL from an instance's host, as its configuration says.
    Connect { name: String },
    /// Lend staging to a rehearsal, or take it back.
    Rehearsal { phase: Phase },
    /// Make something go wrong.
    Fault { name: Fault },
    /// Take back what can be taken back.
    Heal,
    /// How the instances and the traffic are, as JSON.
    Status,
    /// End the sandbox.
    Shutdown,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Phase {
    Begin,
    End,
}

/// Runs the hidden subcommand that these arguments (program name first) name; `None` if they name none.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let named = arguments.get(1)?.to_str()?;
    if !NAMES.contains(&named) {
        return None;
    }
    Some(match Hidden::parse_from(arguments) {
        Hidden::Reaper => {
            reaper::main();
            ExitCode::SUCCESS
        }
        Hidden::App { config, supervised } => app::main(&config, supervised),
        Hidden::Appctl { dir, order } => operate(&dir, order),
        Hidden::Sandbox(arguments) => supervisor::main(arguments),
        Hidden::SecondWriter { file } => second_writer::main(&file),
    })
}

fn operate(dir: &std::path::Path, order: Order) -> ExitCode {
    let outcome = match order {
        Order::Start { name } => control::ask(dir, &Request::Start { name }),
        Order::Stop { name } => control::ask(dir, &Request::Stop { name }),
        Order::Restart { name, now } => control::ask(dir, &Request::Restart { name, now }),
        Order::Connect { name } => return connect(dir, &name),
        Order::Rehearsal {
            phase: Phase::Begin,
        } => control::ask(dir, &Request::BeginRehearsal),
        Order::Rehearsal { phase: Phase::End } => control::ask(dir, &Request::EndRehearsal),
        Order::Fault { name } => faults::inject(dir, name).map(|()| serde_json::Value::Null),
        Order::Heal => control::ask(dir, &Request::Heal),
        Order::Status => control::ask(dir, &Request::Status),
        Order::Shutdown => control::ask(dir, &Request::Shutdown),
    };
    match outcome {
        Ok(serde_json::Value::Null) => ExitCode::SUCCESS,
        Ok(value) => {
            outln!("{value}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            errln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn connect(dir: &std::path::Path, name: &str) -> ExitCode {
    let layout = Layout {
        dir: dir.to_path_buf(),
    };
    app::reach(&layout.instance_config(name))
}
