#!/bin/sh
# Makes the pages of metrics in tests/monitor/pages again: runs the tiny applications of scripts/metrics-pages, each with a real client
# library, sends them known traffic (scripts/metrics-pages/traffic.py) and saves their page when they have just begun, before that traffic
# and after it. Names as arguments make only those; `--list` says which there are. What an application needs comes from its own package
# registry into target/metrics-pages; what cannot be had on a machine is skipped, and it says why. Only who adds a library or wants newer
# versions needs this: the tests read the saved pages. The NAME.expected.yaml beside them are written by hand.
# shellcheck disable=SC2086 # lists of words
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
sources=$here/scripts/metrics-pages
pages=${METRICS_PAGES_INTO:-$here/tests/monitor/pages}
work=${METRICS_PAGES_WORK:-$here/target/metrics-pages}
port=${METRICS_PAGES_PORT:-18080}
metrics_port=$((port + 1))
database_port=$((port + 2))
database=
application=

say() { echo "metrics-pages: $*" >&2; }

skip() { say "$1: skipped: $2"; }

# A copy of an application's folder, in which its packages are installed.
copy() {
    mkdir -p "$work/$1"
    cp -R "$sources/$1/." "$work/$1/"
}

python_packages() {
    copy "$1"
    # What applications on one framework answer alike.
    cp "$sources/routes/"*.py "$work/$1/"
    [ -x "$work/$1/venv/bin/python" ] || python3 -m venv "$work/$1/venv"
    "$work/$1/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$work/$1/requirements.txt" >&2
}

node_packages() {
    copy "$1"
    (cd "$work/$1" && npm install --no-audit --no-fund --no-package-lock --loglevel=error >&2)
}

# Debian's packages of Go libraries are sources in one tree; nothing is fetched for them.
go_sources=/usr/share/gocode

go_program() {
    copy "$1"
    (cd "$work/$1" && GO111MODULE=off GOPATH="$go_sources" go build -o app main.go)
}

# PostgreSQL does not run as root; its package makes a user for it.
as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

postgres_programs() {
    if command -v initdb >/dev/null; then
        dirname "$(command -v initdb)"
    else
        for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
            [ ! -x "$folder/initdb" ] || { echo "$folder"; return; }
        done
        return 1
    fi
}

# A server of its own for the applications that have a pool. It stays up until the script ends.
database_up() {
    [ -z "$database" ] || return 0
    programs=$(postgres_programs)
    # Not below target: that user may not be able to enter the folders above it.
    database=$(mktemp -d)
    [ "$(id -u)" -ne 0 ] || chown postgres "$database"
    as_postgres "$programs/initdb" --no-sync --auth=trust --username=pages --pgdata="$database/data" >/dev/null
    as_postgres "$programs/pg_ctl" --pgdata="$database/data" --log="$database/log" --wait \
        --options="-p $database_port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off" start >/dev/null
    DATABASE_URL=postgresql://pages@127.0.0.1:$database_port/postgres
    export DATABASE_URL
}

down() {
    [ -z "$application" ] || kill "$application" 2>/dev/null || true
    if [ -n "$database" ]; then
        as_postgres "$programs/pg_ctl" --pgdata="$database/data" --mode=immediate stop >/dev/null 2>&1 || true
        rm -rf "$database"
    fi
}
trap down EXIT
trap 'exit 1' INT TERM

# made NAME FOLDER METRICS_PORT METRICS_PATH COMMAND...: starts an application in its folder and saves its pages.
made() {
    name=$1 folder=$2 at=$3 path=$4
    shift 4
    mkdir -p "$pages"
    (cd "$work/$folder" && PORT=$port METRICS_PORT=$metrics_port exec "$@") >"$work/$name.log" 2>&1 &
    application=$!
    if python3 "$sources/traffic.py" "$name" "$port" "$pages" "$at" "$path"; then
        say "$name: made"
    else
        say "$name: failed, see $work/$name.log"
    fi
    kill "$application" 2>/dev/null || true
    wait "$application" 2>/dev/null || true
    application=
}

gunicorn() {
    made "$1" "$2" "$3" /metrics env $4 venv/bin/gunicorn --workers 1 --threads 4 --bind "127.0.0.1:$port" "$5"
}

uvicorn() {
    made "$1" "$2" "$3" /metrics env $4 venv/bin/uvicorn --host 127.0.0.1 --port "$port" --no-access-log app:app
}

express() {
    node_packages "$1"
    made "$1" "$1" "$port" "${2:-/metrics}" node app.js
}

page() {
    case $1 in
    django-prometheus)
        python_packages django-prometheus
        gunicorn "$1" "$1" "$port" "" app:application
        ;;
    prometheus-flask-exporter | prometheus-client)
        python_packages "$1"
        gunicorn "$1" "$1" "$port" "" app:app
        ;;
    prometheus-fastapi-instrumentator | starlette-exporter | starlette-prometheus)
        python_packages "$1"
        uvicorn "$1" "$1" "$port" ""
        ;;
    # OpenTelemetry renamed its HTTP metrics; which names an application has is its own choice.
    otel-flask)
        python_packages otel-flask
        gunicorn "$1" otel-flask "$metrics_port" "" app:app
        ;;
    otel-flask-stable)
        python_packages otel-flask
        gunicorn "$1" otel-flask "$metrics_port" OTEL_SEMCONV_STABILITY_OPT_IN=http app:app
        ;;
    otel-fastapi)
        python_packages otel-fastapi
        uvicorn "$1" otel-fastapi "$metrics_port" ""
        ;;
    otel-fastapi-stable)
        python_packages otel-fastapi
        uvicorn "$1" otel-fastapi "$metrics_port" OTEL_SEMCONV_STABILITY_OPT_IN=http
        ;;
    aiohttp-prometheus-exporter)
        python_packages aiohttp-prometheus-exporter
        made "$1" "$1" "$port" /metrics venv/bin/python app.py
        ;;
    otel-django)
        python_packages otel-django
        gunicorn "$1" otel-django "$metrics_port" "" app:application
        ;;
    otel-django-stable)
        python_packages otel-django
        gunicorn "$1" otel-django "$metrics_port" OTEL_SEMCONV_STABILITY_OPT_IN=http app:application
        ;;
    promhttp | promhttp-middleware | go-gin-prometheus)
        go_program "$1"
        made "$1" "$1" "$port" /metrics ./app
        ;;
    prometheus-client-mmap)
        copy "$1"
        # It keeps its figures in files; those of another run would be counted too.
        rm -rf "$work/$1/figures"
        mkdir "$work/$1/figures"
        made "$1" "$1" "$port" /metrics env prometheus_multiproc_dir=figures \
            puma --environment production --threads 4 --bind "tcp://127.0.0.1:$port"
        ;;
    express-prom-bundle | prom-client | hono-prometheus | node-postgres-prometheus-exporter | fastify-metrics) express "$1" ;;
    prometheus-api-metrics | express-prometheus-middleware | koa-prometheus-exporter) express "$1" ;;
    express-prom-bundle-routes)
        node_packages express-prom-bundle
        made "$1" express-prom-bundle "$port" /metrics env ROUTES=1 node app.js
        ;;
    swagger-stats) express "$1" /swagger-stats/metrics ;;
    otel-http-node | otel-http-node-old)
        node_packages "$1"
        # One application on two generations of the libraries.
        cp "$sources/otel-http-node/app.js" "$work/$1/"
        made "$1" "$1" "$metrics_port" /metrics node --require ./telemetry.js app.js
        ;;
    *)
        say "$1: no such page; --list says which there are"
        exit 2
        ;;
    esac
}

python="prometheus-client django-prometheus prometheus-flask-exporter prometheus-fastapi-instrumentator starlette-exporter
    starlette-prometheus otel-flask otel-flask-stable
    otel-fastapi otel-fastapi-stable aiohttp-prometheus-exporter otel-django otel-django-stable"
node="express-prom-bundle express-prom-bundle-routes prom-client fastify-metrics otel-http-node otel-http-node-old
    prometheus-api-metrics express-prometheus-middleware koa-prometheus-exporter swagger-stats
    hono-prometheus node-postgres-prometheus-exporter"
go="promhttp promhttp-middleware go-gin-prometheus"
ruby=prometheus-client-mmap

# Those whose pool is on the page need a real one.
with_a_pool="otel-flask otel-flask-stable otel-fastapi otel-fastapi-stable otel-http-node otel-http-node-old
    node-postgres-prometheus-exporter promhttp"

# Whether a name is in a list.
among() {
    for other in $2; do
        [ "$other" != "$1" ] || return 0
    done
    return 1
}

# What a page needs besides its packages; prints what is missing.
missing() {
    if among "$1" "$node" && ! command -v npm >/dev/null; then
        echo "no npm"
    fi
    if among "$1" "$go"; then
        command -v go >/dev/null || echo "no go"
        for library in github.com/prometheus/client_golang github.com/lib/pq github.com/mcuadros/go-gin-prometheus; do
            [ -d "$go_sources/src/$library" ] || echo "no Debian package of $library"
        done
    fi
    if among "$1" "$ruby" && ! { command -v puma >/dev/null && ruby -e 'require "prometheus/client"' 2>/dev/null; }; then
        echo "no Debian packages puma and ruby-prometheus-client-mmap"
    fi
    if among "$1" "$with_a_pool" && ! postgres_programs >/dev/null; then
        echo "no PostgreSQL server"
    fi
}

# Libraries whose pages are wanted and of which no page is here yet. Whoever has their packages at hand adds an application.
not_yet() {
    skip "Micrometer with Spring Boot and HikariCP" "no application yet; its packages are in Maven Central"
    skip "prometheus-net, OpenTelemetry for ASP.NET Core and Npgsql" "no application yet; their packages are in NuGet"
    skip "yabeda, prometheus_exporter and prometheus-client for Ruby" "no application yet; their packages are in RubyGems"
    skip "otelhttp and the middlewares of echo and fiber" "no application yet; Debian has no packages of these, so they come as Go modules"
    skip "promphp and laravel-prometheus" "no application yet; their packages are in Packagist"
    skip "Prisma's metrics" "no application yet; its engine is not in its npm packages but downloaded by them"
}

command -v python3 >/dev/null || { say "this needs python3"; exit 1; }
if [ "${1:-}" = --list ]; then
    printf '%s\n' $python $node $go $ruby
    exit 0
fi
if [ $# -eq 0 ]; then
    set -- $python $node $go $ruby
    not_yet
fi
for wanted in "$@"; do
    lacking=$(missing "$wanted")
    if [ -n "$lacking" ]; then
        skip "$wanted" "$lacking"
        continue
    fi
    if among "$wanted" "$with_a_pool"; then
        database_up
    fi
    page "$wanted"
done
