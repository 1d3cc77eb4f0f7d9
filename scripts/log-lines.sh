#!/bin/sh
# Makes the logs from which the lines in tests/monitor/lines are taken: runs the tiny applications of scripts/log-lines, each with a real
# framework and a real client of PostgreSQL, against a server that says no in the usual ways and is then stopped, and leaves what they
# print in target/log-lines/NAME.log. Names as arguments make only those. Which lines are kept, and what each must come to, is written by
# hand. What cannot be had on a machine is skipped, and it says why.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
sources=$here/scripts/log-lines
work=${LOG_LINES_WORK:-$here/target/log-lines}
port=${LOG_LINES_PORT:-18090}
# Where it usually is: some clients say nothing else of the database than its port.
database_port=${LOG_LINES_DATABASE_PORT:-5432}
database=
application=

say() { echo "log-lines: $*" >&2; }

as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

programs=
for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
    [ ! -x "$folder/initdb" ] || programs=$folder
done
[ -n "$programs" ] || { say "no PostgreSQL server"; exit 1; }

control() {
    as_postgres "$programs/pg_ctl" --pgdata="$database/data" --log="$database/log" --wait --mode=fast "$@" >/dev/null
}

up() {
    control --options="-p $database_port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$database -c fsync=off" start
}

# A role of its own, so that something can be denied, and a limit on how long a statement may take.
database_up() {
    database=$(mktemp -d)
    [ "$(id -u)" -ne 0 ] || chown postgres "$database"
    as_postgres "$programs/initdb" --no-sync --auth=trust --username=postgres --pgdata="$database/data" >/dev/null
    up
    as_postgres "$programs/psql" -q -h "$database" -p "$database_port" -U postgres <<-'SQL'
	create role shop login;
	create database shop owner shop;
	alter role shop set statement_timeout = '200ms';
	\connect shop shop
	create table tools (id int primary key);
	insert into tools values (1);
	SQL
    DATABASE_URL=postgresql://shop@127.0.0.1:$database_port/shop
    export DATABASE_URL
}

stop_application() {
    [ -z "$application" ] || kill "$application" 2>/dev/null || true
    [ -z "$application" ] || wait "$application" 2>/dev/null || true
    application=
}

down() {
    stop_application
    if [ -n "$database" ]; then
        control stop 2>/dev/null || true
        rm -rf "$database"
    fi
}
trap down EXIT
trap 'exit 1' INT TERM

copy() {
    mkdir -p "$work/$1"
    cp -R "$sources/$1/." "$work/$1/"
}

python_packages() {
    copy "$1"
    [ -x "$work/$1/venv/bin/python" ] || python3 -m venv "$work/$1/venv"
    "$work/$1/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$work/$1/requirements.txt" >&2
}

node_packages() {
    copy "$1"
    (cd "$work/$1" && npm install --no-audit --no-fund --no-package-lock --loglevel=error >&2)
}

ask() {
    for path in "$@"; do
        curl --silent --output /dev/null --max-time 20 "http://127.0.0.1:$port$path" || true
    done
}

# logs NAME PATHS COMMAND...: starts an application, asks for paths, stops PostgreSQL, and asks again.
logs() {
    name=$1 paths=$2
    shift 2
    (cd "$work/$name" && PORT=$port exec "$@") >"$work/$name.log" 2>&1 &
    application=$!
    tries=0
    until curl --silent --output /dev/null "http://127.0.0.1:$port/nothing-here"; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { say "$name: nothing listens, see $work/$name.log"; break; }
        sleep 0.1
    done
    # shellcheck disable=SC2086 # a list of words
    ask /tools /twice /absent /denied /late $paths /broken
    control stop
    # The first finds a connection that was closed, the next none.
    ask /tools /tools /knex/tools /sequelize/tools /typeorm/tools /rejected
    up
    stop_application
    say "$name: $(wc -l <"$work/$name.log") lines in $work/$name.log"
}

gunicorn="venv/bin/gunicorn --workers 1 --threads 4 --bind 127.0.0.1:$port"
uvicorn="venv/bin/uvicorn --host 127.0.0.1 --port $port"
node_paths="/knex/twice /knex/absent /knex/denied /knex/late /knex/crowded /sequelize/twice /sequelize/absent /sequelize/denied
    /sequelize/late /sequelize/model /typeorm/twice /typeorm/absent /typeorm/denied /typeorm/late"

one() {
    case $1 in
    django)
        python_packages django
        # shellcheck disable=SC2086 # a list of words
        logs django "" $gunicorn app:application
        {
            (cd "$work/django" && timeout 5 venv/bin/python app.py runserver --noreload "127.0.0.1:$port" 2>&1) || true
            (cd "$work/django" && venv/bin/python app.py migrate --no-color 2>&1) || true
            (cd "$work/django" && venv/bin/python app.py migrate --no-color 2>&1) || true
        } >>"$work/django.log"
        ;;
    flask)
        python_packages flask
        # shellcheck disable=SC2086 # a list of words
        logs flask /crowded $gunicorn app:app
        ;;
    fastapi)
        python_packages fastapi
        # shellcheck disable=SC2086 # a list of words
        logs fastapi "" $uvicorn app:app
        ;;
    express)
        node_packages express
        logs express "$node_paths" env NODE_ENV=production node app.js
        ;;
    fastify)
        node_packages fastify
        logs fastify "" node app.js
        ;;
    go)
        command -v go >/dev/null || { say "go: skipped: no go"; return; }
        copy go
        (cd "$work/go" && GO111MODULE=off GOPATH=/usr/share/gocode go build -o app main.go)
        logs go "" ./app
        ;;
    rack)
        command -v puma >/dev/null || { say "rack: skipped: no Debian packages puma and ruby-pg"; return; }
        copy rack
        logs rack "" puma --environment production --threads 4 --bind "tcp://127.0.0.1:$port"
        ;;
    rails)
        command -v puma >/dev/null && ruby -e 'require "active_record/railtie"' 2>/dev/null || {
            say "rails: skipped: no Debian packages puma, ruby-pg and ruby-railties"
            return
        }
        copy rails
        logs rails "" env RAILS_ENV=production PENDING=1 puma --environment production --threads 4 --bind "tcp://127.0.0.1:$port"
        mv "$work/rails.log" "$work/rails-pending.log"
        logs rails "" env RAILS_ENV=production puma --environment production --threads 4 --bind "tcp://127.0.0.1:$port"
        cat "$work/rails-pending.log" >>"$work/rails.log"
        ;;
    *)
        say "$1: no such log"
        exit 2
        ;;
    esac
}

[ $# -gt 0 ] || set -- django flask fastapi express fastify go rack rails
database_up
for wanted in "$@"; do
    one "$wanted"
done
