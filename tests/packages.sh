#!/bin/sh
# Installs what tests/packages.txt names and is missing. One package a line; `#` begins a comment.
set -eu
list="$(dirname "$0")/packages.txt"
[ -f "$list" ] || exit 0
wanted=$(sed 's/#.*//' "$list" | xargs)

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is no Debian system: the tests need these packages, or what they are called here: $wanted" >&2
    exit 0
fi
missing=
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "Installing for the tests:$missing"
$sudo apt-get update -q
# shellcheck disable=SC2086 # several words on purpose
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
