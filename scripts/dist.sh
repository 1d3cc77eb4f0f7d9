#!/usr/bin/env bash
# Makes what a release consists of, for the kind of machine that this runs on, into target/packages: the program, built for an old glibc, in a
# tarball and in a .deb (where dpkg is), a list of what it is made of (CycloneDX) and SHA256SUMS. One commit gives the same bytes each time.
# Tools that are missing are installed: cargo-deb and cargo-cyclonedx by cargo, zig and cargo-zigbuild into target/dist-tools. docs/install.md
# says what the files are, and what was checked of each.
# Usage: dist.sh                  builds the program first
#        dist.sh --binary PATH    packs a program that is there, whatever it needs; of cutover nothing is compiled
set -euo pipefail

say() { echo "dist: $*" >&2; }
die() { say "$*"; exit 1; }

case ${1:-} in
    '') binary= ;;
    --binary) binary=$(cd "$(dirname "${2:?the path of a program}")" && pwd)/$(basename "$2") ;;
    *) die "usage: dist.sh [--binary PATH]" ;;
esac
cd "$(dirname "$0")/.."

# The oldest that the standard library of Rust runs on. docs/install.md and the comment at [profile.dist] say the same.
glibc=2.17
packages=target/packages
tree=$packages/tree

# Nothing of this machine, and no moment but the commit's, goes into the files.
export LC_ALL=C TZ=UTC CARGO_TERM_COLOR=never
umask 022
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) || die "this is no clone: say by SOURCE_DATE_EPOCH when these sources are from"
    [ -z "$(git status --porcelain)" ] || say "there are changes that no commit has: this is no release"
fi
export SOURCE_DATE_EPOCH
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
target=$(rustc -vV | sed -n 's/^host: //p')
name=cutover-$version-$target

cargo_tool() {
    cargo "$1" --version >/dev/null 2>&1 || cargo install --locked "cargo-$1@$2" >&2
    say "cargo-$1 $(cargo "$1" --version | sed 's/.* //')"
}

# Where sources lie is told to nobody: crates are in /crates, the standard library where its own paths lead, everything else in /cutover. One
# argument a line.
maps() {
    local folder
    echo "$PWD=/cutover"
    for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do echo "$folder=/crates"; done
    echo "$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$(rustc -vV | sed -n 's/^commit-hash: //p')"
    echo "${CARGO_TARGET_DIR:-$PWD/target}=/cutover/target"
}

build() {
    cargo fetch --locked --target "$target" >&2
    CARGO_ENCODED_RUSTFLAGS=$(maps | sed 's/^/--remap-path-prefix=/' | tr '\n' '\037')
    CARGO_ENCODED_RUSTFLAGS=${CARGO_ENCODED_RUSTFLAGS%$'\x1f'}
    CFLAGS=$(maps | sed 's/^/-ffile-prefix-map=/' | tr '\n' ' ')
    export CARGO_ENCODED_RUSTFLAGS CFLAGS
    unset RUSTFLAGS
    if [ "$(uname -s)" = Linux ]; then
        local zig
        zig=$(scripts/dist/zig.sh)
        PATH="$zig:$PATH" cargo zigbuild --locked --profile dist --bin cutover --target "$target.$glibc" >&2
    else
        MACOSX_DEPLOYMENT_TARGET=12.0 cargo build --locked --profile dist --bin cutover --target "$target" >&2
    fi
    binary=${CARGO_TARGET_DIR:-target}/$target/dist/cutover
}

# The newest version of glibc that a program asks for.
asks_for() { objdump -T "$1" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1 | cut -d_ -f2; }

# A program that was built here keeps what docs/install.md promises.
hold() {
    if [ "$(uname -s)" = Linux ]; then
        local asked
        asked=$(asks_for "$binary")
        [ "$(printf '%s\n' "$asked" "$glibc" | sort -V | tail -n 1)" = "$glibc" ] || die "the program needs glibc $asked, and $glibc was promised"
    fi
    for path in "$PWD" "$HOME"; do
        [ "$path" = / ] || ! grep -qF "$path/" "$binary" || die "the program tells of $path"
    done
}

# Everything as it lies below /usr/local.
plant() {
    local doc=$tree/share/doc/cutover
    mkdir -p "$tree"/bin "$tree"/share/{man/man1,bash-completion/completions,zsh/site-functions,fish/vendor_completions.d} "$doc"
    cp "$binary" "$tree/bin/cutover"
    chmod 755 "$tree/bin/cutover"
    planted() { env -i HOME=/nonexistent PATH="$PATH" "$tree/bin/cutover" "$@"; }
    [ "$(planted --version)" = "cutover $version" ] || die "$binary is not version $version"
    planted man --out "$tree/share/man/man1"
    planted completions bash >"$tree/share/bash-completion/completions/cutover"
    planted completions zsh >"$tree/share/zsh/site-functions/_cutover"
    planted completions fish >"$tree/share/fish/vendor_completions.d/cutover.fish"
    cp -R README.md SECURITY.md ARCHITECTURE.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT runbook.yaml docs themes "$doc"
    scripts/dist/licences.sh "$target" >"$doc/LICENSES-OF-CRATES.txt"
}

tarball() {
    local tar
    tar=$(command -v gtar || command -v tar)
    "$tar" --version | grep GNU >/dev/null || die "GNU tar is needed (brew install gnu-tar)"
    "$tar" --create --format=ustar --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" \
        --transform="s,^\.,$name," --directory="$tree" . | gzip -9 -n >"$packages/$name.tar.gz"
}

# cargo-deb takes time and order from us, and what goes where from [package.metadata.deb].
deb() {
    cat >"$packages/changelog.debian" <<CHANGES
cutover ($version-1) unstable; urgency=medium

  * See /usr/share/doc/cutover/CHANGELOG.md.

 -- $(sed -n '/^\[package.metadata.deb\]/,/^\[/s/^maintainer = "\(.*\)"$/\1/p' Cargo.toml)  $(date -u -d "@$SOURCE_DATE_EPOCH" -R)
CHANGES
    cargo deb --no-build --no-strip --locked --target "$target" --output "$packages/" >&2
}

# Without a number of its own and with the commit's time, which SOURCE_DATE_EPOCH is enough for; the folder's path is taken out.
sbom() {
    cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$target" --override-filename "$name.cdx"
    sed "s,file://$PWD,file:///cutover,g" "$name.cdx.json" >"$packages/$name.cdx.json"
    rm "$name.cdx.json"
    ! grep -qF "$PWD" "$packages/$name.cdx.json" || die "the SBOM tells of $PWD"
}

sums() {
    local sum=(sha256sum)
    command -v sha256sum >/dev/null || sum=(shasum -a 256)
    rm -f "$packages/changelog.debian"
    (cd "$packages" && "${sum[@]}" cutover?*.* >../SHA256SUMS && mv ../SHA256SUMS .)
}

has_dpkg() { command -v dpkg-shlibdeps >/dev/null; }

if has_dpkg; then cargo_tool deb 3.8.0; else say "no .deb: dpkg-dev is not here"; fi
cargo_tool cyclonedx 0.5.9
if [ -z "$binary" ]; then
    build
    hold
fi
rm -rf "$packages"
mkdir -p "$packages"
plant
tarball
if has_dpkg; then deb; fi
sbom
sums
[ "$(uname -s)" != Linux ] || say "the program needs glibc $(asks_for "$tree/bin/cutover") or newer"
cat "$packages/SHA256SUMS"
