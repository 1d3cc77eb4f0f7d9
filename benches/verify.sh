#!/usr/bin/env bash
# `cutover verify` over every row against bare reads of both sides, in one run.
# Makes SQLITE_FILE when it is missing.
# Usage: verify.sh ADMIN_URL SQLITE_FILE [RUNS]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
admin=$1 file=$2 runs=${3:-3}
binary=${CUTOVER:-$here/../target/release/cutover}
target="${admin%/*}/verified"
tables='ToolCategories ToolContents ToolFeatures ToolSteps __EFMigrationsHistory'
run() { psql -X -q -v ON_ERROR_STOP=1 -d "$@"; }
seconds() { local began ended; began=$(date +%s.%N); "$@"; ended=$(date +%s.%N); awk -v a="$began" -v b="$ended" 'BEGIN { printf "%.2f", b - a }'; }
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
[[ -f $file ]] || sqlite3 "$file" <"$here/data/tools.sql" >/dev/null
run "$admin" -c "drop database if exists verified" -c "create database verified" 2>/dev/null
run "$target" -f "$here/data/schema_postgres.sql"
"$binary" copy --from "$file" --to "$target" --transfer "$here/data/transfer.yaml" >/dev/null 2>&1

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
for ((n = 1; n <= runs; n++)); do
  bare_target=$(seconds read_target) bare_source=$(seconds read_source) all=$(seconds verify)
  parts=$(tail -1 "$out/progress")
  awk -v t="$bare_target" -v s="$bare_source" -v all="$all" -v parts="$parts" -v kb="$(tail -1 "$out/memory")" 'BEGIN {
    split(parts, part, " "); slower = t > s ? t : s
    printf "bare reads %.2f s and %.2f s  rows %.2f s, %.2f of the slower  checks %.2f s  all %.2f s  peak %.1f MB\n", t, s, part[2], part[2] / slower, part[5], all, kb / 1024 }'
done
run "$admin" -c "drop database verified"
