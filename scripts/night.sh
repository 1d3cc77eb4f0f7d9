#!/usr/bin/env bash
# The moving picture of README: plays a night in the sandbox at a terminal of its own and records it (docs/night/night.cast, which asciinema plays), then
# makes a picture of that which moves by itself (docs/night/night.svg). Python alone, without packages; about five minutes, on a machine that has
# little else to do. Look at what has come out before it is committed.
# Usage: night.sh [CUTOVER]      the program, a release by default
#        night.sh --draw         the picture alone, from the cast that is there
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p docs/night
[ "${1:-}" = --draw ] || python3 scripts/night/record.py "${1:-target/release/cutover}" docs/night/night.cast
python3 scripts/night/draw.py docs/night/night.cast docs/night/night.svg
