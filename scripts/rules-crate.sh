#!/bin/sh
# The pure rules as a package of their own, in the folder that is the argument: runbook, session, trigger and what they import, with their tests.
# They import nothing else (tests/architecture.rs), so that a change of one is built and tested in seconds instead of minutes.
set -eu
to=$1
mkdir -p "$to/src" "$to/tests"
cp -r src/runbook* src/session* src/trigger* src/format.rs src/print.rs src/text* src/identity.rs src/secret* "$to/src"
cp -r tests/session* tests/trigger* "$to/tests"
cp runbook.yaml Cargo.lock clippy.toml "$to"
cat >"$to/src/lib.rs" <<'RUST'
//! The pure rules of `cutover`, by themselves.

#[macro_use]
mod print;

pub mod format;
pub mod identity;
pub mod runbook;
pub mod secret;
pub mod session;
pub mod text;
pub mod trigger;
RUST
cat >"$to/tests/rules.rs" <<'RUST'
//! The tests of the rules.

mod session;
mod trigger;
RUST
{
  # The same crates in the same versions; what is not used is not built.
  sed -n '/^\[package\]/,/^edition/p' Cargo.toml
  printf 'autotests = false\n\n[workspace]\n\n[lib]\nname = "cutover"\n\n[[test]]\nname = "rules"\n\n[dependencies]\n'
  grep -E '^(aho-corasick|base64|chrono|memchr|regex|saphyr-parser|serde|serde_json|sha2|strsim|strum|thiserror|unicode-width|url) ' Cargo.toml
  printf '\n[dev-dependencies]\n'
  grep -E '^(proptest|rand|insta) ' Cargo.toml
} >"$to/Cargo.toml"
