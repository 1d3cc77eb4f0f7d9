#!/usr/bin/env bash
# What somebody meets who has nothing but a Debian: a bare one is made in a folder by debootstrap, the .deb is installed there by apt, and
# `cutover demo --speed 10`, which `make demo` starts too, runs on a terminal until its first frame is there. It prints how long each part
# took. The folder's Debian has processes and mounts of its own, which end with this script; this machine's system is left as it is, but for
# debootstrap where that is missing. As root.
# Usage: bare-debian.sh [PACKAGE.deb]    the one in target/packages where absent
#   SUITE=bookworm   which Debian; its PostgreSQL has to be 14 or newer for the demo
#   MIRROR=URL       where debootstrap and apt fetch from; where absent, as apt does here, if this is a Debian
#   FOLDER=PATH      where it is made, and stays; a temporary one, which does not, where absent
set -euo pipefail
package=${1:+$(realpath -m -- "$1")}
cd "$(dirname "$0")/.."
suite=${SUITE:-bookworm}
limit_s=600
export LC_ALL=C

say() { echo "bare-debian: $*" >&2; }
die() { say "$*"; exit 1; }
now_ms() { date +%s%3N; }
in_it() { chroot "$root" "$@"; }
# shellcheck disable=SC2016 # dpkg's own name
installed() { in_it dpkg-query --showformat '${Package}\n' --show | sort; }

# Inside: process 1 of processes of its own, in mounts of its own.
if [ "${1:-}" = --inside ]; then
    root=$2
    mount -t proc proc "$root/proc"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    mount -t tmpfs tmpfs "$root/dev/shm"
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive HOME=/root

    began=$(now_ms)
    in_it apt-get update -qq
    in_it apt-get install -y -qq --no-install-recommends /tmp/cutover.deb >/dev/null 2>"$root/tmp/apt.log" || { cat "$root/tmp/apt.log" >&2; exit 1; }
    say "$(in_it cutover --version) is installed, in $(($(now_ms) - began)) ms; it brought: $(
        installed | comm -13 "$root/tmp/before" - | paste -sd' ')"
    ! in_it sh -c 'ls -d /usr/lib/postgresql /etc/postgresql' >/dev/null 2>&1 || die "the package brings a PostgreSQL along"
    in_it dpkg -L cutover >"$root/tmp/files"
    for file in man/man1/cutover.1.gz bash-completion/completions/cutover doc/cutover/copyright doc/cutover/docs/install.md; do
        grep -qx "/usr/share/$file" "$root/tmp/files" || die "the package has no $file"
    done

    say "without PostgreSQL's programs, the demo says:"
    if in_it cutover demo --headless; then die "it ran without PostgreSQL's programs"; fi

    began=$(now_ms)
    in_it /tmp/postgres-programs.sh >"$root/tmp/programs.log" 2>&1 || { tail -n 20 "$root/tmp/programs.log" >&2; exit 1; }
    say "PostgreSQL's programs are there, after $(($(now_ms) - began)) ms"

    # A terminal that nobody types at. `script` keeps what is written to it.
    began=$(now_ms)
    # shellcheck disable=SC2016 # for the shell in there
    sleep $((limit_s + 60)) | in_it env LC_ALL=C.UTF-8 TERM=xterm-256color SHELL=/bin/sh \
        script --quiet --flush --command 'stty rows 40 cols 120; exec cutover demo --speed 10' /tmp/terminal >/dev/null &
    for _ in $(seq $((limit_s * 20))); do
        # The other screen, and on it the key that every frame of the bridge has.
        if sed -n '/\x1b\[?1049h/,$p' "$root/tmp/terminal" 2>/dev/null | grep -a 'ROLL BACK' >/dev/null; then
            say "the first frame of \`cutover demo --speed 10\` is there after $(($(now_ms) - began)) ms; a whole rehearsal comes before it"
            exit 0
        fi
        sleep 0.05
    done
    tail -c 2000 "$root/tmp/terminal" >&2
    die "no frame within $limit_s s"
fi

[ "$(id -u)" -eq 0 ] || die "debootstrap and mounts need root"
package=${package:-$(find target/packages -maxdepth 1 -name '*.deb' 2>/dev/null | head -n 1)}
[ -f "$package" ] || die "no .deb: make dist"
if ! command -v debootstrap >/dev/null; then
    say "installing with apt: debootstrap"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >&2
fi
mirror=${MIRROR:-}
if [ -z "$mirror" ] && grep -q '^ID=debian$' /etc/os-release; then
    # shellcheck disable=SC2016 # apt's own names
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' | sed -n 's/ Debian Debian$//p' | head -n 1)
fi
if [ -n "${FOLDER:-}" ]; then
    root=$(mkdir -p "$FOLDER" && cd "$FOLDER" && pwd)
    [ -z "$(ls -A "$root")" ] || die "$root is not empty"
else
    root=$(mktemp -d)
    chmod 755 "$root"
    trap 'rm -rf --one-file-system "$root"' EXIT
fi

began=$(now_ms)
debootstrap --variant=minbase "$suite" "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; die "debootstrap failed"; }
rm -f "$root.log"
say "a bare Debian ($suite, glibc $(in_it ldd --version | sed -n '1s/.* //p')) in $(($(now_ms) - began)) ms"
cp "$package" "$root/tmp/cutover.deb"
cp scripts/postgres-programs.sh "$root/tmp/"
installed >"$root/tmp/before"
unshare --mount --pid --fork --kill-child scripts/bare-debian.sh --inside "$root"
