//! Lines to standard output and standard error. A reader that went away (`cutover status | head -3`) is no failure: what it does not
//! want to read is dropped, and the command goes on to its own end and exit code. No line shows a secret.
//!
//! Not in here: making foreign text harmless; that is `text`. Knowing what is secret; that is `secret`.

use std::fmt::Arguments;
use std::io::Write;

use crate::secret::masked;

/// Writes one line to standard output, or drops it.
macro_rules! outln {
    ($($line:tt)*) => { $crate::print::line_out(format_args!($($line)*)) };
}

/// Writes one line to standard error, or drops it.
macro_rules! errln {
    ($($line:tt)*) => { $crate::print::line_err(format_args!($($line)*)) };
}

/// What [`outln!`] does.
pub(crate) fn line_out(line: Arguments<'_>) {
    let _ = writeln!(std::io::stdout().lock(), "{}", masked(&line.to_string()));
}

/// What [`errln!`] does.
pub(crate) fn line_err(line: Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{}", masked(&line.to_string()));
}
