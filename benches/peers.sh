#!/usr/bin/env bash
# `cutover copy` against other ways into the same migrated schema, taking turns. Who is not installed is named and left out.
# pgloader with `drop indexes`; DuckDB with its casts written by hand, and keys and indexes dropped and rebuilt by hand.
# Usage: peers.sh ADMIN_URL SQLITE_FILE [RUNS]      DUCKDB_PYTHON: a Python that has duckdb and its extensions
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
admin=$1 file=$2 runs=${3:-3}
binary=${CUTOVER:-$here/../target/release/cutover}
python=${DUCKDB_PYTHON:-python3}
target="${admin%/*}/peer"
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
run() { psql -X -q -v ON_ERROR_STOP=1 -d "$@"; }
fresh() {
  run "$admin" -c "drop database if exists peer" -c "create database peer" 2>/dev/null
  run "$target" -f "$here/data/schema_postgres.sql"; run "$admin" -c checkpoint
}
seconds() { local began=$EPOCHREALTIME; "$@" >"$out/output" 2>&1 || { tail -n 3 "$out/output" >&2; return 1; }; awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }'; }
complete() {
  local rows; rows=$(run "$target" -At -c 'select (select count(*) from "ToolContents") + (select count(*) from "ToolFeatures") + (select count(*) from "ToolSteps")')
  [[ $rows == 3500000 ]] || { echo "$1 brought $rows of 3500000 rows" >&2; return 1; }
}
ours() { "$binary" copy --from "$file" --to "$target" --transfer "$here/data/transfer.yaml"; }
# Its default number of rows read ahead can exhaust its heap on this data.
by_pgloader() {
  pgloader --with "data only" --with "drop indexes" --with "quote identifiers" --with "prefetch rows = 10000" \
    "sqlite://$file" "${target/postgres:/pgsql:}" </dev/null
}
by_duckdb() { run "$target" -f "$here/data/drop.sql"; "$python" "$here/duckdb_copy.py" "$file" "$target"; run "$target" -f "$here/data/rebuild.sql"; }

peers=()
if command -v pgloader >/dev/null; then peers+=(pgloader); else echo "pgloader is not installed: left out"; fi
if "$python" "$here/duckdb_copy.py" --probe 2>/dev/null; then peers+=(duckdb); else echo "duckdb with its extensions sqlite_scanner and postgres_scanner is not installed: left out"; fi
[[ ${#peers[@]} -gt 0 ]] || exit 0
for ((n = 1; n <= runs; n++)); do
  fresh; copy=$(seconds ours); complete copy
  for peer in "${peers[@]}"; do
    fresh
    if theirs=$(seconds "by_$peer") && complete "$peer"; then
      awk -v name="$peer" -v t="$theirs" -v c="$copy" 'BEGIN { printf "%s %.2f s  copy %.2f s  copy is %.2f times as fast\n", name, t, c, t / c }'
    else
      echo "$peer failed"
    fi
  done
done
run "$admin" -c "drop database if exists peer"
