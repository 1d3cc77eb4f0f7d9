#!/usr/bin/env bash
# What it costs to leave a cockpit open on a night that has yet to begin, beside htop and pg_activity, each refreshed once a second, all at the
# same time and at two sizes (its rehearsal, at the pace of the clock, takes some minutes first): the processor's time of each process, as the kernel counts it. What is installed of the two is beside it.
# Usage: idle.sh [SECONDS [TIMES]]      CUTOVER names the program, a release by default
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
binary=$(realpath "${CUTOVER:-$here/../target/release/cutover}")
seconds=${1:-120} times=${2:-1}
socket=cutover-idle-$$
work=$(mktemp -d)
tm() { tmux -L "$socket" -f /dev/null "$@"; }
over() {
  tm kill-server 2>/dev/null || true
  "$binary" demo --stop --dir "$work/sandbox" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap over EXIT

# Prints the process that is shown in a terminal of this size.
shown() { # NAME COLUMNS ROWS COMMAND...
  local name=$1 columns=$2 rows=$3; shift 3
  tm new-session -d -s "$name" -x "$columns" -y "$rows" "exec env TERM=screen-256color LC_ALL=C.UTF-8 $*"
  tm list-panes -t "$name" -F '#{pane_pid}'
}
shows() { # NAME TEXT: waits until it is there
  for _ in $(seq 3000); do
    tm capture-pane -p -t "$1" | grep -q "$2" && return
    sleep 0.2
  done
  echo "idle: $1 does not show $2" >&2; tm capture-pane -p -t "$1" >&2; exit 1
}
# Ticks of the processor that a process has used.
ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }

tm new-session -d -s keep -x 80 -y 24 "sleep infinity"
tm set -g status off
sandbox=$(shown sandbox 80 24 "$binary" demo --dir "$work/sandbox" --rows 5000)
shows sandbox 'The first minute'
url=$(sed -n "s/^TARGET_URL='\(.*\)'$/\1/p" "$work/sandbox/sandbox.env")
session=$(find "$work/sandbox/.cutover" -name journal.db -path '*shared*' -printf '%h\n' | head -1)
names=() pids=()
begin() { names+=("$1"); pids+=("$(shown "${1//[^a-z0-9]/-}" "${@:2}")"); }
for size in "80 24" "200 60"; do
  # shellcheck disable=SC2086 # two words
  begin "cutover join, ${size/ /x}" $size "$binary" join --dir "${session%/shared}" --as dba
  # shellcheck disable=SC2086
  if command -v htop >/dev/null; then begin "htop, ${size/ /x}" $size htop -d 10; else echo "htop is not installed here, and left out"; fi
  # shellcheck disable=SC2086
  if command -v pg_activity >/dev/null; then begin "pg_activity, ${size/ /x}" $size pg_activity --refresh 1 "'$url'"
  else echo "pg_activity is not installed here, and left out"; fi
done
for name in "${names[@]}"; do [[ $name != cutover* ]] || shows "${name//[^a-z0-9]/-}" 'Go / no-go'; done
# What starting costs is not what staying costs.
sleep 5
hz=$(getconf CLK_TCK)
echo "processor time of leaving it open for $seconds s, all at the same time; processes on this machine: $(find /proc -maxdepth 1 -name '[0-9]*' | wc -l)"
for ((n = 0; n < times; n++)); do
  before=(); for pid in "${pids[@]}"; do before+=("$(ticks "$pid")"); done
  sleep "$seconds"
  for n_of in "${!pids[@]}"; do
    awk -v name="${names[n_of]}" -v used="$(($(ticks "${pids[n_of]}") - before[n_of]))" -v hz="$hz" -v s="$seconds" \
      'BEGIN { printf "  %-28s %6.2f s  %5.2f %% of a core\n", name, used / hz, 100 * used / hz / s }'
  done
done
