#!/usr/bin/env bash
# Checks that the sources compile for the machines of a release that this one is not: Linux on arm64, macOS on Intel and on arm64. The compiler
# looks at all of the program for each, not at its tests, some of which ask what Linux alone has; the parts in C (SQLite, ring) are compiled
# by zig, which has the headers of both systems. Nothing is linked and nothing is run, and the headers of Apple's own SDK are not there.
# Standard libraries of the targets come by rustup.
# Usage: check-targets.sh [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(aarch64-unknown-linux-gnu x86_64-apple-darwin aarch64-apple-darwin)
rustup target add "${targets[@]}" >&2
zig=$(scripts/dist/zig.sh)
export PATH="$zig:$PATH" CARGO_PROFILE_DEV_DEBUG=0 RUSTFLAGS=-Dwarnings
for target in "${targets[@]}"; do
    echo "check-targets: $target" >&2
    cargo-zigbuild check --locked --lib --bins --target "$target"
done
echo "check-targets: ${targets[*]} compile"
