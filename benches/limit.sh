#!/usr/bin/env bash
# The floor under any import of the data set in benches/data, measured on this machine, now: rows that are already encoded, sent with
# COPY BINARY into bare tables; then the keys, indexes and foreign keys rebuilt.
# Usage: limit.sh ADMIN_URL SQLITE_FILE      (ADMIN_URL: a superuser's URL of a throwaway cluster, ending in /postgres)
# Makes SQLITE_FILE (about 375 MB, 3.5 million rows, five tables) when it is missing. Prints seconds.
set -euo pipefail
data=$(cd "$(dirname "$0")/data" && pwd)
admin=$1 file=$2
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; chmod 755 "$work"
[[ -f $file ]] || sqlite3 "$file" <"$data/tools.sql" >/dev/null
url() { echo "${admin%/*}/$1"; }
run() { psql -X -q -v ON_ERROR_STOP=1 -d "$@"; }
fresh() { run "$admin" -c "drop database if exists $1" -c "create database $1" 2>/dev/null; run "$(url "$1")" -f "$data/schema_postgres.sql"; }
now() { date +%s.%N; }
tables=(ToolCategories ToolContents ToolFeatures ToolSteps __EFMigrationsHistory)

fresh floor_seed; run "$(url floor_seed)" -f "$data/drop.sql"
blob='"Id","ToolContentId","Ordinal","Text",case when "Payload" is not null then '"'\\x'"'||hex("Payload") end'
for t in "${tables[@]}"; do
  what='*'; [[ $t == ToolSteps ]] && what=$blob
  sqlite3 -readonly -csv "$file" "select $what from \"$t\"" | run "$(url floor_seed)" -c "\\copy \"$t\" from stdin csv"
  run "$(url floor_seed)" -c "\\copy \"$t\" to '$work/$t.bin' binary"
done
run "$admin" -c "drop database floor_seed"

fresh floor; run "$(url floor)" -f "$data/drop.sql"; run "$admin" -c checkpoint
a=$(now)
for t in "${tables[@]}"; do run "$(url floor)" -c "\\copy \"$t\" from '$work/$t.bin' binary"; done
b=$(now)
run "$(url floor)" -f "$data/rebuild.sql"
c=$(now)
for t in "${tables[@]}"; do run "$(url floor)" -c "\\copy \"$t\" to '/dev/null' binary"; done
d=$(now)
run "$admin" -c "drop database floor"
awk -v a="$a" -v b="$b" -v c="$c" -v d="$d" 'BEGIN { printf "load %.2f  rebuild %.2f  total %.2f  read-back %.2f\n", b-a, c-b, c-a, d-c }'
