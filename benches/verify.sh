#!/usr/bin/env bash
# `cutover verify` over every row against bare reads of both sides and DuckDB's EXCEPT, in one run, one after the other and again.
# Makes SQLITE_FILE when it is missing. DuckDB is left out, and said to be, where DUCKDB_PYTHON has none (packages: duckdb, and
# duckdb-extension-sqlite-scanner and duckdb-extension-postgres-scanner of the same version).
# Usage: verify.sh ADMIN_URL SQLITE_FILE [RUNS]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
admin=$1 file=$2 runs=${3:-5}
binary=${CUTOVER:-$here/../target/release/cutover} python=${DUCKDB_PYTHON:-python3}
target="${admin%/*}/verified"
tables='ToolCategories ToolContents ToolFeatures ToolSteps __EFMigrationsHistory'
run() { psql -X -q -v ON_ERROR_STOP=1 -d "$@"; }
seconds() { local began ended; began=$(date +%s.%N); "$@"; ended=$(date +%s.%N); awk -v a="$began" -v b="$ended" 'BEGIN { printf "%.2f", b - a }'; }
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
[[ -f $file ]] || sqlite3 "$file" <"$here/data/tools.sql" >/dev/null
run "$admin" -c "drop database if exists verified" -c "create database verified" 2>/dev/null
run "$target" -f "$here/data/schema_postgres.sql"
"$binary" copy --from "$file" --to "$target" --transfer "$here/data/transfer.yaml" >/dev/null 2>&1
run "$target" -c 'vacuum analyze' -c checkpoint

read_target() { for table in $tables; do run "$target" -c "copy \"$table\" to stdout (format binary)"; done >/dev/null; }
read_source() {
  for table in $tables; do
    sums=$(sqlite3 "$file" "select group_concat('max(\"' || name || '\")') from pragma_table_info('$table')")
    sqlite3 "$file" "select $sums from \"$table\" not indexed"
  done >/dev/null
}
verify() {
  /usr/bin/env time -f '%M' -o "$out/memory" "$binary" verify --json --from "$file" --to "$target" --transfer "$here/data/transfer.yaml" \
    >"$out/json" 2>"$out/progress"
}
duckdb=yes
"$python" "$here/except.py" "$file" "$target" >/dev/null 2>"$out/duckdb" || { duckdb=''; echo "DuckDB: not measured, $(tail -1 "$out/duckdb")"; }
for ((n = 1; n <= runs; n++)); do
  bare_target=$(seconds read_target) bare_source=$(seconds read_source) all=$(seconds verify)
  except=$([[ -z $duckdb ]] || "$python" "$here/except.py" "$file" "$target")
  read -r _ rows _ _ checks _ < <(tail -1 "$out/progress")
  echo "$bare_target $bare_source ${rows} ${checks} $all $(tail -1 "$out/memory") ${except:-0}"
done | awk '
  function line(name, values, unit,   n, i, j, t) {
    n = split(values, v, " ")
    for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j] + 0 < v[j - 1] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    printf "%-52s min %.2f  median %.2f  max %.2f%s\n", name, v[1], n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2, v[n], unit
  }
  {
    slower = $1 > $2 ? $1 : $2
    printf "bare reads %.2f s (PostgreSQL) and %.2f s (SQLite)  rows %.2f s  checks %.2f s  all %.2f s  peak %.1f MB", $1, $2, $3, $4, $5, $6 / 1024
    if ($7) printf "  EXCEPT %.2f s", $7
    print ""; fflush()
    by_reads = by_reads " " $3 / slower; by_rows = by_rows " " $4 / $3; peak = peak " " $6 / 1024
    if ($7) by_except = by_except " " $3 / $7
  }
  END {
    line("all rows / the slower of the two bare reads", by_reads)
    if (by_except) line("all rows / DuckDB, EXCEPT in one direction", by_except)
    line("checks / all rows", by_rows)
    line("peak memory", peak, " MB")
  }'
run "$admin" -c "drop database verified"
