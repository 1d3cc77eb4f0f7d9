#!/usr/bin/env bash
# README's pictures, made again from the program's own screen: a night in the sandbox, in which errors come after the switch.
# Usage: pictures.sh      writes docs/pictures/*.svg; takes about four minutes
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked
cutover=$PWD/target/release/cutover
work=$(mktemp -d)
"$cutover" demo --headless --speed 20 --fault 5xx@G1 --dir "$work/sandbox" >"$work/json" 2>"$work/log" &
night=$!
trap 'kill "$night" 2>/dev/null || true; wait || true; rm -rf "$work"' EXIT
mkdir -p docs/pictures

# Takes a picture as soon as the screen shows the words: picture NAME WORDS [OPTION...]
picture() {
  local name=$1 words=$2; shift 2
  for ((n = 0; n < 3000; n++)); do
    if "$cutover" snapshot --dir "$work/sandbox/.cutover/tool-catalogue-1" --as robin "$@" 2>/dev/null | grep -q -- "$words"; then
      "$cutover" snapshot --dir "$work/sandbox/.cutover/tool-catalogue-1" --as robin "$@" --svg >"docs/pictures/$name.svg"
      echo "docs/pictures/$name.svg"
      return
    fi
    kill -0 "$night" 2>/dev/null || break
    sleep 0.1
  done
  echo "the screen never showed \"$words\"" >&2; tail -5 "$work/log" >&2
  exit 1
}

picture bridge '[4-9]:[0-9][0-9] of 10:00'
picture countdown 'FIRED: '
