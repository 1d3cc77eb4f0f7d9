#!/usr/bin/env bash
# The whole `cutover copy` against the floor, in one run: from an empty migrated schema to constraints, sequences and statistics in place.
# Also prints the peak of memory, and how far the time left that `copy` showed was from what it then took, at 10, 30 and 60 %.
# Usage: copy.sh ADMIN_URL SQLITE_FILE [RUNS]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
admin=$1 file=$2 runs=${3:-3}
binary=${CUTOVER:-$here/../target/release/cutover}
url() { echo "${admin%/*}/$1"; }
run() { psql -X -q -v ON_ERROR_STOP=1 -d "$@"; }
stamped() { while IFS= read -r line; do echo "$EPOCHREALTIME $line"; done; }
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
for ((n = 1; n <= runs; n++)); do
  floor=$("$here/limit.sh" "$admin" "$file" | tee -a /dev/stderr | sed 's/.*total \([0-9.]*\).*/\1/')
  run "$admin" -c "drop database if exists copied" -c "create database copied" 2>/dev/null
  run "$(url copied)" -f "$here/data/schema_postgres.sql"; run "$admin" -c checkpoint
  began=$EPOCHREALTIME
  /usr/bin/env time -f '%M' -o "$out/memory" "$binary" copy --json --from "$file" --to "$(url copied)" --transfer "$here/data/transfer.yaml" \
    2>&1 >"$out/json" | stamped >"$out/progress"
  ended=$EPOCHREALTIME
  awk -v floor="$floor" -v a="$began" -v b="$ended" -v kb="$(tail -1 "$out/memory")" \
    'BEGIN { printf "floor %.2f s  copy %.2f s  ratio %.3f  peak %.1f MB\n", floor, b-a, (b-a)/floor, kb/1024 }'
  awk -v a="$began" -v b="$ended" '
    BEGIN { split("10 30 60", shares, " "); next_share = 1 }
    function off() { return (said_at + said - b) / (b - a) * 100 }
    / s left$/ {
      while (next_share <= 3 && $1 - a > shares[next_share] / 100 * (b - a)) {
        if (said_at) line = line sprintf("  at %d %% %+.0f %%", shares[next_share], off())
        next_share++
      }
      said_at = $1; said = $(NF - 2)
    }
    END { print "end as foretold by the time left, off by a share of the whole:" line }' "$out/progress"
  run "$admin" -c "drop database copied"
done
