//! Lines to standard output and standard error. A reader that went away (`cutover status | head -3`) is no failure: what it does not
//! want to read is dropped, and the command goes on to its own end and exit code. No line shows a secret, or holds what a terminal obeys.
//!
//! Not in here: making foreign text one line, and cutting it; that is `text::printable`. Knowing what is secret; that is `secret`.

use std::fmt::Arguments;
use std::io::Write;

use crate::secret::masked;
use crate::text::harmless;

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
    let _ = writeln!(std::io::stdout().lock(), "{}", shown(&line));
}

/// What [`errln!`] does.
pub(crate) fn line_err(line: Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{}", shown(&line));
}

/// What a terminal would obey is escaped, whoever let it through; in JSON it reads the same.
fn shown(line: &Arguments<'_>) -> String {
    harmless(&masked(&line.to_string()))
}
