#!/bin/sh
# Makes sure that the page of `cutover watch` can be looked at in a real browser: a virtual environment in target/browser with playwright, and
# Chromium: the one of this machine, else from apt or dnf, else the one that playwright brings. Only `make browser` needs them.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
venv=$here/target/browser
playwright=1.65.2

say() { echo "browser-programs: $*" >&2; }

# As root, or through sudo where there is one.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        say "this needs root, and there is no sudo; run as root: $*"
        return 1
    fi
}

browser() {
    for program in chromium chromium-browser google-chrome; do
        command -v "$program" && return
    done
    return 1
}

if ! "$venv/bin/python" -c 'import playwright' 2>/dev/null; then
    say "making target/browser with playwright $playwright"
    python3 -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "playwright==$playwright" >&2
fi
if browser >/dev/null; then
    say "playwright and $(browser) are here"
elif command -v apt-get >/dev/null && apt-cache show chromium >/dev/null 2>&1; then
    say "installing with apt: chromium"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >&2
elif command -v dnf >/dev/null; then
    say "installing with dnf: chromium"
    as_root dnf install -y -q chromium >&2
else
    say "fetching the Chromium that playwright brings"
    "$venv/bin/python" -m playwright install chromium >&2
fi
