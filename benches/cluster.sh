#!/usr/bin/env bash
# A throwaway PostgreSQL for benches, as a server would be set up: fsync on, 1 GB of shared buffers.
# Usage: cluster.sh start DIR | stop DIR      start prints the superuser's URL
set -euo pipefail
verb=$1 dir=$2
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
bin=${bin:-$(pg_config --bindir)}
as() { if [[ $EUID == 0 ]]; then runuser -u postgres -- "$@"; else "$@"; fi; }
case $verb in
  start)
    mkdir -p "$dir"; [[ $EUID == 0 ]] && chown postgres "$dir"
    as "$bin/initdb" -D "$dir/data" -U bench --locale=C.UTF-8 -E UTF8 -A trust >/dev/null
    port=$((20000 + RANDOM % 20000))
    as "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/log" -o "-p $port -k $dir -c listen_addresses=127.0.0.1 -c shared_buffers=1GB -c max_wal_size=8GB" start >/dev/null
    echo "postgres://bench@127.0.0.1:$port/postgres" ;;
  stop) as "$bin/pg_ctl" -D "$dir/data" -w -m immediate stop >/dev/null; rm -rf "$dir" ;;
esac
