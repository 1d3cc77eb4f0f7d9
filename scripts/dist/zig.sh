#!/usr/bin/env bash
# Installs zig, whose C compiler and linker serve other machines and old glibcs, and cargo-zigbuild, which hands it to cargo: both as PyPI has
# them, by their hashes, into target/dist-tools (or CUTOVER_DIST_TOOLS), where they are not there yet. Says where their programs are.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=${CUTOVER_DIST_TOOLS:-$PWD/target/dist-tools}
made_from=$(cksum <scripts/dist/requirements.txt)
if [ "$(cat "$tools/made-from" 2>/dev/null)" != "$made_from" ]; then
    echo "zig: installing zig and cargo-zigbuild into $tools" >&2
    python3 -m venv --clear "$tools" || { echo "zig: Python 3 with venv is needed (Debian: python3-venv)" >&2; exit 1; }
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
        -r scripts/dist/requirements.txt >&2
    echo "$made_from" >"$tools/made-from"
fi
echo "$tools/bin"
