#!/usr/bin/env bash
# Peak memory of `cutover copy` over one blob of 200 MB, as a multiple of its size.
# Usage: blob.sh ADMIN_URL FOLDER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
admin=$1 folder=$2 size=200000000
binary=${CUTOVER:-$here/../target/release/cutover}
file=$folder/blob.db
run() { psql -X -q -v ON_ERROR_STOP=1 -d "$@"; }
[[ -f $file ]] || sqlite3 "$file" "create table files (id integer primary key, content blob); insert into files values (1, randomblob($size))"
run "$admin" -c "drop database if exists blob" -c "create database blob" 2>/dev/null
run "${admin%/*}/blob" -c "create table files (id integer primary key, content bytea)"
/usr/bin/env time -f '%M' -o "$folder/memory" "$binary" copy --from "$file" --to "${admin%/*}/blob" >"$folder/output" 2>&1 ||
  { cat "$folder/output" >&2; exit 1; }
arrived=$(run "${admin%/*}/blob" -At -c "select octet_length(content) from files")
[[ $arrived == "$size" ]] || { echo "the blob arrived with $arrived bytes" >&2; exit 1; }
awk -v kb="$(tail -1 "$folder/memory")" -v size="$size" 'BEGIN { printf "a blob of %d MB: peak %.1f MB, %.2f times its size\n", size/1e6, kb/1024, kb*1024/size }'
run "$admin" -c "drop database blob"
