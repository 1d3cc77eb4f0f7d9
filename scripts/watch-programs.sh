#!/bin/sh
# Makes sure that the servers which the tests of the probes ask (prometheus, pgbouncer) are on this machine: finds them, else installs
# them with apt, dnf or brew, and says what it does. Nothing is started and no service is left running or enabled; the tests start
# their own. Only the tests need them: the demo and cutover itself do not. `--find` only looks.
set -eu

say() { echo "watch-programs: $*" >&2; }

# Prints the names of those that are missing.
missing() {
    PATH=$PATH:/usr/sbin:/usr/local/sbin
    for program in prometheus pgbouncer; do
        command -v "$program" >/dev/null 2>&1 || echo "$program"
    done
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

# Debian's packages start their services; for the time of the installation this says that nothing may be started.
with_apt() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'as_root rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    as_root apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $1 >&2
    if command -v systemctl >/dev/null; then
        # shellcheck disable=SC2086
        as_root systemctl disable --quiet $1 2>/dev/null || true
    fi
}

install() {
    if command -v apt-get >/dev/null; then
        say "installing with apt: $1"
        with_apt "$1"
    elif command -v dnf >/dev/null; then
        # Fedora calls the package of the server by its path in Go.
        packages=$(echo "$1" | sed 's/prometheus/golang-github-prometheus/')
        say "installing with dnf: $packages"
        # shellcheck disable=SC2086
        as_root dnf install -y -q $packages >&2
    elif command -v brew >/dev/null; then
        say "installing with brew: $1"
        # shellcheck disable=SC2086
        brew install --quiet $1 >&2
    else
        say "neither apt, dnf nor brew is here; install these yourself: $1"
        exit 1
    fi
}

needed=$(missing | tr '\n' ' ')
if [ -z "$needed" ]; then
    say "prometheus and pgbouncer are here"
    exit 0
fi
say "not on this machine: $needed"
[ "${1:-}" != --find ] || exit 1
install "$needed"
needed=$(missing | tr '\n' ' ')
if [ -n "$needed" ]; then
    say "installed, but still not found: $needed"
    exit 1
fi
