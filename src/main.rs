//! Arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = cutover::demo::hidden::run(std::env::args_os()) {
        return code;
    }
    ExitCode::SUCCESS
}
