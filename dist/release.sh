#!/bin/sh
# Builds the files of a release into an empty directory: release.sh DIRECTORY
#
# The same commit and compiler give the same files, whatever the directory of the checkout is named. Needs cargo-deb and
# cargo-cyclonedx (`make release` installs both), dpkg-dev, binutils, and for the program with musl musl-tools and
# `rustup target add ARCHITECTURE-unknown-linux-musl`.
set -eu
mkdir -p "$1"
output=$(realpath "$1")
cd "$(dirname "$0")/.."
if [ -n "$(ls -A "$output")" ]; then
    echo "$output is not empty; remove its files, or choose another directory" >&2
    exit 1
fi
built=${CARGO_TARGET_DIR:-target}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
host=$(rustc --print host-tuple)
architecture=${host%%-*}

# Timestamps and directories would differ between builds.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
home=${CARGO_HOME:-$HOME/.cargo}
RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$PWD=/source --remap-path-prefix=$home=/cargo"
CFLAGS="${CFLAGS:-} -ffile-prefix-map=$PWD=/source -ffile-prefix-map=$home=/cargo"
export SOURCE_DATE_EPOCH RUSTFLAGS CFLAGS

# archive TARGET PROGRAM: the program with everything that belongs to it.
archive() {
    name=certvigil-$version-$1
    folder=$built/release-files/$name
    mkdir -p "$folder"
    cp "$2" README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT dist/certvigil.service "$folder"
    cp -R "$built/release-files/man" "$built/release-files/completions" dashboards docs dist/hooks "$folder"
    tar --create --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=go+u,go-w \
        --directory "$built/release-files" "$name" | gzip --best --no-name >"$output/$name.tar.gz"
}

rm -rf "$built/release-files"
mkdir -p "$built/release-files/completions"
cargo build --profile dist --locked --package certvigil --package xtask
program=$built/dist/certvigil
"$built/dist/xtask" man "$built/release-files/man"
for shell in bash zsh fish; do
    "$program" completions "$shell" >"$built/release-files/completions/$shell"
done
archive "$host" "$program"
sh dist/debian/build.sh "$program" "$built/release-files/man" "$output"

musl=$architecture-unknown-linux-musl
if rustup target list --installed | grep -qx "$musl"; then
    cargo build --profile dist --locked --package certvigil --target "$musl"
    archive "$musl" "$built/$musl/dist/certvigil"
else
    echo "the archive for $musl is missing: run rustup target add $musl" >&2
    exit 1
fi

cargo cyclonedx --format json --spec-version 1.5 --target "$host" --no-build-deps --describe binaries
sed "s|file://$PWD|file:///source|g" certvigil_bin.cdx.json >"$output/certvigil-$version.cdx.json"
rm certvigil_bin.cdx.json
cd "$output"
sha256sum -- * >SHA256SUMS
ls -l
