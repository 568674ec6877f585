#!/bin/sh
# Builds the Debian package from an existing executable and its manual pages (`cargo xtask man`):
#     build.sh EXECUTABLE MANUAL DIRECTORY [flags of cargo-deb]
# The executable may have any profile: `make deb` uses `dist`, the test uses the tested one. Needs cargo-deb, dpkg-dev and
# binutils. Intermediate files stay below target/.
set -eu
program=$(realpath "$1")
manual=$(realpath "$2")
output=$(realpath -m "$3")
shift 3
cd "$(dirname "$0")/../.."
# `make cargo-deb` installs it there.
PATH=$PATH:$PWD/target/tools/bin

# The assets in Cargo.toml, recreated so that no old file is packaged.
files=target/debian-files
rm -rf "$files"
mkdir -p "$files/man" "$files/completions"
strip --strip-unneeded -o "$files/certvigil" "$program"
cp "$manual"/*.1 "$files/man/"
for shell in bash zsh fish; do
    "$program" completions "$shell" >"$files/completions/$shell"
done
# Manual installations use /usr/local, packages do not. The first lines of the unit contain the path of a manual installation.
sed '1,2d; s,/usr/local/bin/,/usr/bin/,' dist/certvigil.service >"$files/certvigil.service"
gzip -9n <CHANGELOG.md >"$files/changelog.gz"

# Fixed timestamps, so that the package is reproducible.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(dpkg-parsechangelog --file dist/debian/changelog --show-field Timestamp)}
export SOURCE_DATE_EPOCH

exec cargo deb --locked --no-build --no-strip --output "$output" "$@"
