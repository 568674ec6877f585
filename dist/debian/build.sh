#!/bin/sh
# Builds the Debian package around a program that is built already: build.sh PROGRAM FOLDER [flags of cargo-deb]
# The program may be of any profile: `make deb` gives that of `release`, the test the one that is tested. Needs
# cargo-deb, dpkg-dev and binutils; what is made beside the package stays below target/.
set -eu
program=$(realpath "$1")
output=$(realpath -m "$2")
shift 2
cd "$(dirname "$0")/../.."
# `make cargo-deb` puts it there.
PATH=$PATH:$PWD/target/tools/bin

# What the assets in Cargo.toml name; made anew, so that nothing of another time gets in.
files=target/debian-files
rm -rf "$files"
mkdir -p "$files/man" "$files/completions"
strip --strip-unneeded -o "$files/certvigil" "$program"
"$program" man "$files/man" >/dev/null
for shell in bash zsh fish; do
    "$program" completions "$shell" >"$files/completions/$shell"
done
# What an administrator installs by hand is in /usr/local; what a package installs is not. The first lines say by hand where.
sed '1,2d; s,/usr/local/bin/,/usr/bin/,' dist/certvigil.service >"$files/certvigil.service"
gzip -9n <CHANGELOG.md >"$files/changelog.gz"

# The times in the package, so that it is the same when it is made again.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(dpkg-parsechangelog --file dist/debian/changelog --show-field Timestamp)}
export SOURCE_DATE_EPOCH

exec cargo deb --locked --no-build --no-strip --output "$output" "$@"
