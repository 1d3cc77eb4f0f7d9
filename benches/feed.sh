#!/usr/bin/env bash
# What the feed costs production: 200 writes a second on the data set of benches/data, with what F1 installs and the engine's reader behind it, and
# with neither, in pairs and in an order of chance: latency, processor time of the server, growth of its log; with commits that wait for the disk, and
# with synchronous_commit = off. Some eight minutes and a half. Makes SQLITE_FILE when it is missing. The server must be of this machine, and its
# disk and that of SQLITE_FILE real ones.
# Usage: feed.sh ADMIN_URL SQLITE_FILE [PAIRS [SECONDS]]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
admin=$1 file=$(realpath "$2") pairs=${3:-20} seconds=${4:-5}
binary=$(realpath "${CUTOVER:-$here/../target/release/cutover}")
target="${admin%/*}/fed" transfer=$here/data/transfer.yaml
run() { psql -X -q -v ON_ERROR_STOP=1 -d "$@"; }
[[ -f $file ]] || sqlite3 "$file" <"$here/data/tools.sql" >/dev/null
run "$admin" -c "drop database if exists fed" -c "create database fed" 2>/dev/null
run "$target" -f "$here/data/schema_postgres.sql"
"$binary" copy --from "$file" --to "$target" --transfer "$transfer" >/dev/null 2>&1
run "$target" -c 'vacuum analyze' -c checkpoint
# A checkpoint amid it would have whole pages written into the log anew, on whichever side comes next.
trap 'run "$admin" -c "alter system reset checkpoint_timeout" -c "select pg_reload_conf()" >/dev/null' EXIT
run "$admin" -c "alter system set checkpoint_timeout = '1h'" -c "select pg_reload_conf()" >/dev/null
cd "$here/.."
cargo bench --quiet --locked --bench feed -- "$target" "$file" "$transfer" "$pairs" "$seconds"
run "$admin" -c "drop database fed"
