//! Arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    match cutover::demo::hidden::run(std::env::args_os()) {
        Some(code) => code,
        None => cutover::cli::main(),
    }
}
