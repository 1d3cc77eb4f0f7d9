#!/usr/bin/env bash
# Every figure that README and docs quote, measured here: both sides of each ratio in one run.
# Usage: run.sh [WORK_FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$(mktemp -d)}; mkdir -p "$work"; chmod 755 "$work"
cargo build --release --locked
# DuckDB comes as Python packages; without them, or without a network, it is left out, and said to be.
if [[ -z ${DUCKDB_PYTHON:-} ]] && python3 -m venv "$work/venv" && "$work/venv/bin/pip" -q install duckdb==1.5.5 \
  duckdb-extension-sqlite-scanner==1.5.5 duckdb-extension-postgres-scanner==1.5.5; then export DUCKDB_PYTHON="$work/venv/bin/python"; fi
admin=$("$here/cluster.sh" start "$work/cluster"); trap '"$here/cluster.sh" stop "$work/cluster"' EXIT
echo "== copy against the floor"; "$here/copy.sh" "$admin" "$work/tools.db"
echo "== copy against others"; "$here/peers.sh" "$admin" "$work/tools.db"
echo "== one large blob"; "$here/blob.sh" "$admin" "$work"
echo "== cost per row, and memory, as tables grow"; "$here/curve.sh" "$admin" "$work"
echo "== watching 500 instances each second"; "$here/watch.sh"
echo "== an action on one terminal, on every other"; cargo bench --quiet --locked --bench terminals
echo "== a key to the screen while an import runs"; cargo bench --quiet --locked --bench keystroke
echo "== the screen: a frame, the first one, and leaving it open"; CUTOVER_BENCH_SERVER=$admin cargo bench --quiet --locked --bench screen
echo "== verify against bare reads"; "$here/verify.sh" "$admin" "$work/tools.db"
echo "== diff against bare reads"; "$here/diff.sh" "$work/tools.db"
echo "== what the bookkeeping after the switch costs production"; "$here/salvage.sh"
echo "== what the feed costs production's writes"; "$here/feed.sh" "$admin" "$work/tools.db"
echo "== a rollback with and without a target that answers"; "$here/rollback.sh"
