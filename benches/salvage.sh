#!/usr/bin/env bash
# What the bookkeeping between F4 and release costs production: the sandbox's application on PostgreSQL under its own traffic, asked by
# one more user. In turn, and again: without it (the engine is stopped, so that none of its probes disturbs either side), with the
# question that the engine asks every two seconds for the estimate beside the key, and with `cutover salvage cost` one after the other.
# Usage: salvage.sh [ROUNDS] [REQUESTS_PER_ROUND] [ROWS]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
rounds=${1:-8} requests=${2:-200} rows=${3:-50000}
binary=$(realpath "${CUTOVER:-$here/../target/release/cutover}")
dir=$(mktemp -d)/sandbox out=$(mktemp -d)
"$binary" demo --headless --speed 10 --rows "$rows" --dir "$dir" >"$out/json" 2>"$out/log" & demo=$!
engine=''
cleanup() {
  [[ -n $engine ]] && kill -CONT "$engine" 2>/dev/null || true
  kill -INT "$demo" 2>/dev/null || true; wait "$demo" 2>/dev/null || true
  rm -rf "$out" "$(dirname "$dir")"
}
trap cleanup EXIT
echo "waiting for the night to come to G1" >&2
while ! grep -qE '^.* G1 +started' <(grep -v rehearsal "$out/log" 2>/dev/null); do
  kill -0 "$demo" 2>/dev/null || { tail -5 "$out/log" >&2; exit 1; }
  sleep 0.5
done
folder=$(ls -dt "$dir"/.cutover/*/ | grep -v rehearsal | head -1)
engine=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["pid"])' "$folder/engine.lease")
url=$(. "$dir/sandbox.env"; echo "$APP_1") target=$(. "$dir/sandbox.env"; echo "$TARGET_URL")

# Nine reads to one write, one after the other; prints milliseconds.
ask() {
  for ((n = 0; n < requests; n++)); do
    if ((n % 10 == 9)); then
      id=$(cat /proc/sys/kernel/random/uuid)
      curl -s -o "$out/body" -w '%{http_code} %{time_total}\n' -H 'content-type: application/json' "$url/tools" \
        -d "{\"externalId\":\"$id\",\"title\":\"Bench\",\"slug\":\"bench-$id\",\"body\":\"b\",\"isPublished\":false}"
    elif ((n % 2)); then
      curl -s -o "$out/body" -w '%{http_code} %{time_total}\n' "$url/tools?page=$((n % 30 + 1))&size=20"
    else
      curl -s -o "$out/body" -w '%{http_code} %{time_total}\n' "$url/tools/by-slug/tool-1"
    fi
  done | awk '$1 >= 400 || $1 == 0 { bad++ } { print $2 * 1000 } END { if (bad) print "bad: " bad > "/dev/stderr" }'
}
figures() { sort -n | awk '{ v[NR] = $1; sum += $1 } END { print sum / NR, v[int(NR * 0.5) + 1], v[int(NR * 0.95) + 1] }'; }
# As in src/postgres/written.rs.
estimating() {
  while :; do
    echo "SELECT relname::text, n_tup_ins, n_tup_upd, n_tup_del FROM pg_catalog.pg_stat_user_tables WHERE schemaname = 'public';"
    echo "SELECT schemaname || '.' || sequencename, last_value FROM pg_catalog.pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL;"
    echo >>"$out/asked"; sleep 2
  done | psql -X -q -At "$target" >/dev/null
}
counting() { while :; do "$binary" salvage cost --dir "$folder" --json >"$out/cost" 2>&1; cp "$out/cost" "$out/last"; echo >>"$out/counted"; done; }
beside() { "$1" & beside=$!; ask | figures; pkill -P "$beside" || true; kill "$beside" 2>/dev/null; wait "$beside" 2>/dev/null || true; } 2>/dev/null
kill -STOP "$engine"
ask >/dev/null
for ((round = 1; round <= rounds; round++)); do
  # Each in its turn first, so that what the machine does in the long run falls on all three alike.
  for ((turn = round; turn < round + 3; turn++)); do
    case $((turn % 3)) in
      0) without=$(ask | figures) ;;
      1) with=$(beside estimating) ;;
      2) also=$(beside counting) ;;
    esac
  done
  echo "$without $with $also"
done | awk '
  function line(name, values,   n, i, j, t) {
    n = split(values, v, " ")
    for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j] + 0 < v[j - 1] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    printf "%-62s min %.2f  median %.2f  max %.2f\n", name, v[1], n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2, v[n]
  }
  {
    printf "mean ms: without %.2f  estimate %.2f  exact count %.2f   p95 ms: %.2f  %.2f  %.2f\n", $1, $4, $7, $3, $6, $9; fflush()
    m = m " " $4 / $1; h = h " " $5 / $2; p = p " " $6 / $3; mc = mc " " $7 / $1; hc = hc " " $8 / $2; pc = pc " " $9 / $3
  }
  END {
    line("estimate / without: mean", m); line("estimate / without: median", h); line("estimate / without: p95", p)
    line("exact count all the time / without: mean", mc); line("exact count all the time / without: median", hc)
    line("exact count all the time / without: p95", pc)
  }'
echo "estimates: $(wc -l <"$out/asked")  exact counts: $(wc -l <"$out/counted"), the last: $(tail -c 90 "$out/last")"
