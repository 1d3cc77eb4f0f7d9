#!/usr/bin/env bash
# How long a rollback takes until the application is on SQLite again (R1 to R4+), in whole nights of the sandbox, in turn, and again: a
# target that works, one that was stopped (SIGSTOP, all its processes), one that can write nothing any more (a file size limit of zero:
# what a full disk is to it), and one that is down.
# Usage: rollback.sh [ROUNDS] [ROWS]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
rounds=${1:-3} rows=${2:-5000}
binary=$(realpath "${CUTOVER:-$here/../target/release/cutover}")
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT

# The postmaster of a sandbox: the parent of whoever serves us.
postmaster() {
  local url backend
  url=$(. "$1/sandbox.env"; echo "$TARGET_URL")
  read -r backend < <(psql -X -At "$url" -c 'select pg_backend_pid()' -c 'select pg_sleep(1)')
  ps -o ppid= -p "$backend" | tr -d ' '
}
night() {
  local kind=$1 dir=$out/night/sandbox fault=5xx demo main all
  [[ $kind == down ]] && fault=target-down
  : >"$out/log"
  mkdir -p "$out/night"; chmod 755 "$out" "$out/night"
  "$binary" demo --headless --speed 60 --rows "$rows" --fault "$fault" --dir "$dir" >"$out/json" 2>"$out/log" & demo=$!
  if [[ $kind == stopped || $kind == full ]]; then
    until grep -v rehearsal "$out/log" | grep -qE ' G1 +started'; do kill -0 "$demo" || return 1; sleep 0.1; done
    main=$(postmaster "$dir"); [[ -n $main ]] || return 1
    until grep -q FIRED "$out/log"; do kill -0 "$demo" || return 1; sleep 0.02; done
    all="$main $(pgrep -P "$main" | tr '\n' ' ')"
    for pid in $all; do
      if [[ $kind == stopped ]]; then kill -STOP "$pid"; else prlimit --pid "$pid" --fsize=0 2>/dev/null || true; fi
    done
    until grep -v rehearsal "$out/log" | grep -qE ' R6 +(done|FAILED)' || ! kill -0 "$demo" 2>/dev/null; do sleep 0.05; done
    [[ $kind == stopped ]] && for pid in $all; do kill -CONT "$pid" 2>/dev/null || true; done
  fi
  wait "$demo" || [[ $? == 4 ]]
  rm -rf "$out/night"
  python3 - "$out/json" "$kind" <<'PYTHON'
import json, sys
rows = {row["id"]: row for row in json.load(open(sys.argv[1]))["rows"]}
back = [rows[r] for r in ("R1", "R1+", "R2", "R2+", "R3", "R4", "R4+")]
# What cannot be fenced or read is red; the application comes back all the same.
assert all(r["status"] == "done" or r["id"] in ("R1+", "R2+") for r in back), [(r["id"], r["status"], r["summary"]) for r in back]
# A night whose target answered all the same measures nothing.
silent = "did not answer within 5 s" in rows["R1+"]["summary"]
assert silent == (sys.argv[2] == "stopped"), rows["R1+"]["summary"]
print(sum(r["seconds"] for r in back))
PYTHON
}
for ((n = 1; n <= rounds; n++)); do
  line=''
  for kind in works stopped full down; do line="$line $(night "$kind")"; done
  echo "$line"
done | awk '
  function line(name, values,   n, i, j, t) {
    n = split(values, v, " ")
    for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j] + 0 < v[j - 1] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    printf "%-46s min %.2f  median %.2f  max %.2f\n", name, v[1], n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2, v[n]
  }
  {
    printf "back on SQLite after: works %.2f s  stopped %.2f s  full %.2f s  down %.2f s\n", $1, $2, $3, $4; fflush()
    s = s " " $2 / $1; f = f " " $3 / $1; d = d " " $4 / $1; w = w " " $2 - $1
  }
  END {
    line("stopped / works", s); line("stopped - works, seconds", w); line("full / works", f); line("down / works", d)
  }'
