#!/usr/bin/env bash
# The pictures of README and the manuals, and the list of keys, written again from the program itself. That they are current is held by the
# same tests without the variable.
# Usage: pictures.sh      writes docs/pictures/*.svg and docs/keys.md
set -euo pipefail
cd "$(dirname "$0")/.."
CUTOVER_WRITE_PICTURES=1 cargo test --locked --test it -- cockpit::pictures::pictures_show cockpit::pictures::the_list_of_keys
git status --short docs
