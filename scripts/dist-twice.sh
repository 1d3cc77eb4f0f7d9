#!/usr/bin/env bash
# Holds that a commit gives the same bytes wherever it is built: HEAD is cloned into two folders, made in both by dist.sh, and compared file by file.
# Usage: dist-twice.sh [what dist.sh takes]
set -euo pipefail
case ${1:-} in
    --binary) set -- --binary "$(cd "$(dirname "$2")" && pwd)/$(basename "$2")" ;;
esac
cd "$(dirname "$0")/.."
root=$PWD
both=$(mktemp -d)
trap 'rm -rf "$both"' EXIT
export CUTOVER_DIST_TOOLS=${CUTOVER_DIST_TOOLS:-$root/target/dist-tools}
unset CARGO_TARGET_DIR

# Another path, another mask and another time zone.
make_in() {
    (umask "$2" && git clone --quiet "$root" "$both/$1" && cd "$both/$1" && TZ=$3 scripts/dist.sh "${@:4}" >/dev/null)
}
make_in one 022 UTC "$@"
make_in another/folder/of/a/longer/name 077 Asia/Kathmandu "$@"

cd "$both/one/target/packages"
differ=0
for file in SHA256SUMS cutover?*.*; do
    if cmp "$file" "$both/another/folder/of/a/longer/name/target/packages/$file"; then
        echo "the same bytes twice: $file ($(wc -c <"$file" | tr -d ' ') bytes)"
    else
        differ=1
    fi
done
exit $differ
