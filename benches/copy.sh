#!/usr/bin/env bash
# The whole `cutover copy` against the floor, in one run: from an empty migrated schema to constraints, sequences and statistics in place.
# Usage: copy.sh ADMIN_URL SQLITE_FILE [RUNS]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
admin=$1 file=$2 runs=${3:-3}
binary=${CUTOVER:-$here/../target/release/cutover}
url() { echo "${admin%/*}/$1"; }
run() { psql -X -q -v ON_ERROR_STOP=1 -d "$@"; }
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
for ((n = 1; n <= runs; n++)); do
  floor=$("$here/limit.sh" "$admin" "$file" | tee /dev/stderr | sed 's/.*total \([0-9.]*\).*/\1/')
  run "$admin" -c "drop database if exists copied" -c "create database copied" 2>/dev/null
  run "$(url copied)" -f "$here/data/schema_postgres.sql"; run "$admin" -c checkpoint
  began=$(date +%s.%N)
  /usr/bin/env time -f '%M' -o "$out/memory" "$binary" copy --json --from "$file" --to "$(url copied)" --transfer "$here/data/transfer.yaml" \
    >"$out/json" 2>"$out/progress"
  ended=$(date +%s.%N)
  awk -v floor="$floor" -v a="$began" -v b="$ended" -v kb="$(tail -1 "$out/memory")" \
    'BEGIN { printf "floor %.2f s  copy %.2f s  ratio %.3f  peak %.1f MB\n", floor, b-a, (b-a)/floor, kb/1024 }'
  run "$admin" -c "drop database copied"
done
