#!/usr/bin/env bash
# What it costs the engine to watch a fleet each second, and what the instances' own answers cost, several times in turn.
# Usage: watch.sh [INSTANCES [SECONDS [TIMES]]]
set -euo pipefail
cd "$(dirname "$0")/.."
ulimit -n 8192
for ((n = 0; n < ${3:-3}; n++)); do
  cargo bench --quiet --locked --bench watch -- "${1:-500}" "${2:-60}"
done
