#!/usr/bin/env bash
# Prints the licences of every crate that is in the program of a target: first which crate has which, then each text once, as the crates
# bring them.
# Usage: licences.sh TARGET
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C
texts=$(mktemp -d)
trap 'rm -rf "$texts"' EXIT
shopt -s nullglob nocaseglob

cat <<'HEAD'
The program `cutover` is made of the crates below and of Rust's standard library (MIT OR Apache-2.0). What was built by `make dist` on Linux
has also the unwinder of LLVM in it (Apache-2.0 WITH LLVM-exception). SQLite, which is in libsqlite3-sys, is in the public domain.

HEAD

cargo tree --locked --target "$1" --edges normal,no-proc-macro --prefix none --format '{p}|{l}' | sed 's/ (\*)//' | sort -u |
    while IFS='|' read -r crate licence; do
        read -r name version _ <<<"$crate"
        [ "$name" != cutover ] || continue
        folders=("${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$name-${version#v}")
        [ ${#folders[@]} -gt 0 ] || { echo "licences: the source of $crate is not here; run cargo fetch --locked" >&2; exit 1; }
        found=
        for file in "${folders[0]}"/{licen[cs]e,copying,copyright,notice,unlicense}*; do
            [ -f "$file" ] || continue
            text=$(git hash-object --no-filters "$file")
            cp "$file" "$texts/$text"
            found+=" ${text:0:12}"
        done
        echo "$name ${version#v}: $licence${found:+; text}$found"
    done

for text in "$texts"/*; do
    printf '\n======== text %s\n\n' "$(basename "$text" | cut -c1-12)"
    tr -d '\r' <"$text"
done
