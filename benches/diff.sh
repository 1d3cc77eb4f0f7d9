#!/usr/bin/env bash
# `cutover diff` of two snapshots against one bare read of each (every value of every table, by SQLite's own shell), in one run, one after the
# other and again: a file with itself as it was copied, with 1 % of the rows changed here and there, and after a VACUUM; by all rows, and by the pages
# that differ.
# Makes SQLITE_FILE when it is missing.
# Usage: diff.sh SQLITE_FILE [RUNS]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
file=$1 runs=${2:-5}
binary=${CUTOVER:-$here/../target/release/cutover}
seconds() { local began ended; began=$(date +%s.%N); "$@"; ended=$(date +%s.%N); awk -v a="$began" -v b="$ended" 'BEGIN { printf "%.2f", b - a }'; }
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
[[ -f $file ]] || sqlite3 "$file" <"$here/data/tools.sql" >/dev/null
tables() { sqlite3 "$1" "select name from pragma_table_list where schema = 'main' and type = 'table' and name not like 'sqlite%' ${2-}"; }
cp "$file" "$out/same.db"
cp "$file" "$out/changed.db"
tables "$file" 'and not wr' | while read -r table; do
  column=$(sqlite3 "$file" "select name from pragma_table_info('$table') where pk = 0 and type like '%TEXT%' order by cid limit 1")
  [[ -z $column ]] || sqlite3 "$out/changed.db" "update or ignore \"$table\" set \"$column\" = \"$column\" || '.' where rowid % 100 = 7"
done
cp "$out/changed.db" "$out/vacuumed.db"; sqlite3 "$out/vacuumed.db" vacuum

bare() {
  tables "$1" | while read -r table; do
    sums=$(sqlite3 "$1" "select group_concat('sum(length(\"' || name || '\"))') from pragma_table_info('$table')")
    sqlite3 "$1" "select $sums from \"$table\" not indexed"
  done >/dev/null
}
# 1 is "they differ".
diff() { /usr/bin/env time -q -f '%M' -o "$out/memory" "$binary" diff --json --by "$2" "$file" "$1" >"$out/json" 2>"$out/said" || [[ $? == 1 ]]; }
for ((n = 1; n <= runs; n++)); do
  for kind in same changed vacuumed; do
    one=$(seconds bare "$file") other=$(seconds bare "$out/$kind.db")
    for by in rows pages; do
      all=$(seconds diff "$out/$kind.db" $by)
      echo "$kind,$by $one $other $all $(tail -1 "$out/memory") $(stat -c %s "$file")"
    done
  done
done | awk '
  function line(name, values, unit,   n, i, j, t) {
    n = split(values, v, " ")
    for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j] + 0 < v[j - 1] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    printf "%-56s min %.2f  median %.2f  max %.2f%s\n", name, v[1], n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2, v[n], unit
  }
  {
    printf "%s: bare reads %.2f s and %.2f s  diff %.2f s, %.0f MB/s of each file  peak %.1f MB\n", $1, $2, $3, $4, $6 / 1e6 / $4, $5 / 1024
    fflush()
    ratio[$1] = ratio[$1] " " $4 / ($2 + $3); peak = peak " " $5 / 1024
  }
  END {
    for (n = split("rows pages", ways, " "); n > 0; n--) {
      by = ways[n]
      line("by " by " / bare reads of both, nothing changed", ratio["same," by])
      line("by " by " / bare reads of both, 1 % changed", ratio["changed," by])
      line("by " by " / bare reads of both, 1 % changed and VACUUM", ratio["vacuumed," by])
    }
    line("peak memory", peak, " MB")
  }'
