#!/bin/sh
# Makes sure that the applications on which the tests play a foreign night can run: a virtual environment in target/foreign/venv with what
# tests/foreign/requirements.txt pins. Python itself (3.10 or newer, with venv) is installed with apt, dnf or brew where it is
# missing, and it says what it does. Only the tests need it: the demo and cutover itself do not. `--find` only looks.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
requirements=$here/tests/foreign/requirements.txt
venv=$here/target/foreign/venv

say() { echo "foreign-programs: $*" >&2; }

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

# A Python that is new enough and can make a virtual environment with pip in it. Debian has the latter in a package of its own.
python() {
    for program in python3 python3.13 python3.12 python3.11 python3.10; do
        if "$program" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then
            command -v "$program"
            return
        fi
    done
    return 1
}

install_python() {
    if command -v apt-get >/dev/null; then
        say "installing with apt: python3 python3-venv"
        as_root apt-get update -qq
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv >&2
    elif command -v dnf >/dev/null; then
        say "installing with dnf: python3 python3-pip"
        as_root dnf install -y -q python3 python3-pip >&2
    elif command -v brew >/dev/null; then
        say "installing with brew: python3"
        brew install --quiet python3 >&2
    else
        say "neither apt, dnf nor brew is here; install Python 3.10 or newer, with venv, yourself"
        exit 1
    fi
}

# What an environment was made from; another one is made where this differs.
made_from() {
    cksum <"$requirements"
}

if [ -x "$venv/bin/python" ] && [ "$(cat "$venv/made-from" 2>/dev/null)" = "$(made_from)" ] && "$venv/bin/python" -c 'import django, optuna' 2>/dev/null; then
    say "the foreign applications can run"
    exit 0
fi
say "target/foreign/venv is not there, or is not what requirements.txt asks for"
[ "${1:-}" != --find ] || exit 1
if ! python >/dev/null; then
    install_python
    python >/dev/null || { say "installed, but there is still no Python 3.10 or newer that can make a virtual environment"; exit 1; }
fi
say "making target/foreign/venv with $(python)"
mkdir -p "$here/target/foreign"
"$(python)" -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$requirements" >&2
made_from >"$venv/made-from"
