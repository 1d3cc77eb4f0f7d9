//! Arguments in, exit code out. Everything else is in the library.

fn main() {
    let first = std::env::args().nth(1);
    if first.as_deref() == Some(cutover::demo::reaper::SUBCOMMAND) {
        cutover::demo::reaper::main();
    }
}
