#!/usr/bin/env bash
# Cost per row against the number of rows: the data set at several sizes, from 100 thousand to 17 million rows.
# Usage: curve.sh ADMIN_URL FOLDER [FACTOR ...]     FACTOR: percent of the data set, 3 to 500
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
admin=$1 folder=$2; shift 2
binary=${CUTOVER:-$here/../target/release/cutover}
factors=("${@:-3}"); [[ $# -gt 0 ]] || factors=(3 10 30 100 200 500)
run() { psql -X -q -v ON_ERROR_STOP=1 -d "$@"; }
printf '%10s %8s %12s %10s\n' rows seconds 'µs per row' 'peak MB'
for percent in "${factors[@]}"; do
  file=$folder/curve-$percent.db
  contents=$((5000 * percent)); features=$((20000 * percent)); steps=$((10000 * percent))
  [[ -f $file ]] || sed -e "s/i<500000)/i<$contents)/; s/i<2000000)/i<$features)/; s/i<1000000)/i<$steps)/; s/i%500000,/i%$contents,/g" \
    "$here/data/tools.sql" | sqlite3 "$file" >/dev/null
  run "$admin" -c "drop database if exists curve" -c "create database curve" 2>/dev/null
  run "${admin%/*}/curve" -f "$here/data/schema_postgres.sql"; run "$admin" -c checkpoint
  json=$(/usr/bin/env time -f '%M' -o "$folder/memory" "$binary" copy --json --from "$file" --to "${admin%/*}/curve" \
    --transfer "$here/data/transfer.yaml" 2>/dev/null)
  rows=$(sed 's/.*\],"rows":\([0-9]*\).*/\1/' <<<"$json"); seconds=$(sed 's/.*"rows":[0-9]*,"seconds":\([0-9.]*\).*/\1/' <<<"$json")
  awk -v r="$rows" -v s="$seconds" -v kb="$(tail -1 "$folder/memory")" 'BEGIN { printf "%10d %8.2f %12.2f %10.1f\n", r, s, s*1e6/r, kb/1024 }'
  run "$admin" -c "drop database curve"
done
