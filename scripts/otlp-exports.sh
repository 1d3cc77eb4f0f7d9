#!/bin/sh
# Makes the exports in tests/monitor/exports again: runs the tiny applications of scripts/otlp-exports, each with a real SDK of
# OpenTelemetry, and saves what they send to OTEL_EXPORTER_OTLP_ENDPOINT, byte for byte. Names as arguments make only those; `--list` says
# which there are. What an application needs comes from its own package registry into target/otlp-exports; what cannot be had on a machine is
# skipped, and it says why. Only who adds an SDK or wants newer versions needs this: the tests read the saved exports.
# shellcheck disable=SC2086 # lists of words
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
sources=$here/scripts/otlp-exports
exports=$here/tests/monitor/exports
work=$here/target/otlp-exports
port=${OTLP_EXPORTS_PORT:-18318}

say() { echo "otlp-exports: $*" >&2; }

packages() {
    mkdir -p "$work/$1"
    cp -R "$sources/$1/." "$work/$1/"
    case $1 in
    python)
        [ -x "$work/python/venv/bin/python" ] || python3 -m venv "$work/python/venv"
        "$work/python/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$work/python/requirements.txt" >&2
        ;;
    node) (cd "$work/node" && npm install --no-audit --no-fund --no-package-lock --loglevel=error >&2) ;;
    esac
}

# made NAME FOLDER COMMAND...: runs an application in its folder and saves what it exports.
made() {
    name=$1 folder=$2
    shift 2
    rm -f "$exports/$name".*
    mkdir -p "$exports"
    pipe=$work/receiver
    rm -f "$pipe" && mkfifo "$pipe"
    python3 "$sources/receive.py" "$port" "$exports" "$name" <"$pipe" >"$work/receiver.log" &
    receiver=$!
    exec 3>"$pipe"
    until grep -q listening "$work/receiver.log" 2>/dev/null; do kill -0 "$receiver" || exit 1; done
    if (cd "$work/$folder" && OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:$port" OTEL_RESOURCE_ATTRIBUTES=service.instance.id=app-1 \
        env "$@" 3>&-) >"$work/$name.log" 2>&1; then
        say "$name: made"
    else
        say "$name: failed, see $work/$name.log"
    fi
    exec 3>&-
    wait "$receiver" || true
}

# Without a path of this machine in what is logged.
program='exec(compile(open("app.py").read(), "app.py", "exec"))'

export_of() {
    case $1 in
    python-cumulative) made "$1" python OTEL_SEMCONV_STABILITY_OPT_IN=http WITH_LOGS=1 venv/bin/python -c "$program" ;;
    python-old-names) made "$1" python venv/bin/python -c "$program" ;;
    python-delta-gzip)
        made "$1" python OTEL_SEMCONV_STABILITY_OPT_IN=http OTEL_EXPORTER_OTLP_COMPRESSION=gzip \
            OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=DELTA venv/bin/python -c "$program"
        ;;
    python-exponential)
        made "$1" python OTEL_SEMCONV_STABILITY_OPT_IN=http \
            OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=base2_exponential_bucket_histogram venv/bin/python -c "$program"
        ;;
    node-json) made "$1" node OTEL_SEMCONV_STABILITY_OPT_IN=http node app.js ;;
    *)
        say "$1: no such export; --list says which there are"
        exit 2
        ;;
    esac
}

all="python-cumulative python-old-names python-delta-gzip python-exponential node-json"
command -v python3 >/dev/null || { say "this needs python3"; exit 1; }
if [ "${1:-}" = --list ]; then
    printf '%s\n' $all
    exit 0
fi
[ $# -gt 0 ] || set -- $all
for wanted in "$@"; do
    folder=${wanted%%-*}
    if [ "$folder" = node ] && ! command -v npm >/dev/null; then
        say "$wanted: skipped: no npm"
        continue
    fi
    packages "$folder"
    export_of "$wanted"
done
