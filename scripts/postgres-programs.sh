#!/bin/sh
# Makes sure that PostgreSQL's server programs (initdb, postgres; version 14 or newer) are on this machine: finds them, else
# installs them with apt, dnf or brew, and says what it does. Nothing is started and no service is left running; the demo and
# the tests start their own throwaway servers. `--find` only looks.
set -eu

oldest=14

say() { echo "postgres-programs: $*" >&2; }

# Every folder that src/demo/programs.rs looks into, one per line.
folders() {
    echo "$PATH" | tr ':' '\n'
    pg_config --bindir 2>/dev/null || true
    for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
        /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /home/linuxbrew/.linuxbrew/opt/postgresql*/bin \
        /Applications/Postgres.app/Contents/Versions/*/bin /usr/local/pgsql/bin /usr/libexec/postgresql; do
        echo "$folder"
    done
}

# Prints "MAJOR FOLDER" of the newest usable programs; fails where there are none.
newest() {
    folders | while IFS= read -r folder; do
        [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] || continue
        major=$("$folder/postgres" --version 2>/dev/null | sed -n 's/.*(PostgreSQL) \([0-9]*\).*/\1/p')
        [ -n "$major" ] && [ "$major" -ge "$oldest" ] && echo "$major $folder"
    done | sort -rn | sed -n 1p | grep .
}

# As root, or through sudo where there is one.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        say "this needs root, and there is no sudo; run as root: $*"
        exit 1
    fi
}

install() {
    if command -v apt-get >/dev/null; then
        say "installing with apt: postgresql"
        as_root apt-get update -qq
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-common >&2
        # The next package would make a cluster and start it; we only want the programs.
        as_root sed -ri 's/^#(create_main_cluster) .*$/\1 = false/' /etc/postgresql-common/createcluster.conf
        say "create_main_cluster = false in /etc/postgresql-common/createcluster.conf, so that no server starts"
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >&2
    elif command -v dnf >/dev/null; then
        say "installing with dnf: postgresql-server"
        as_root dnf install -y -q postgresql-server >&2
    elif command -v brew >/dev/null; then
        say "installing with brew: postgresql@17"
        brew install --quiet postgresql@17 >&2
    else
        say "neither apt, dnf nor brew is here; install your system's PostgreSQL server package ($oldest or newer) yourself"
        exit 1
    fi
}

if found=$(newest); then
    say "PostgreSQL ${found%% *} in ${found#* }"
    exit 0
fi
if [ "${1:-}" = --find ]; then
    say "no PostgreSQL server programs, version $oldest or newer, on this machine"
    exit 1
fi
say "no PostgreSQL server programs, version $oldest or newer, on this machine"
install
if found=$(newest); then
    say "PostgreSQL ${found%% *} in ${found#* }"
else
    say "installed, but there is still no version $oldest or newer; is the package older?"
    exit 1
fi
