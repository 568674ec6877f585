#!/bin/sh
# Installs what tests/packages.txt, or another such list, names and is missing. One package a line; `#` begins a comment.
set -eu
list="${1:-$(dirname "$0")/packages.txt}"
[ -f "$list" ] || exit 0
wanted=$(sed 's/#.*//' "$list" | xargs)

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is no Debian system: these packages are needed, or what they are called here: $wanted" >&2
    exit 0
fi
missing=
unpacked=
folder="$(dirname "$0")/../target/unpacked"
for package in $wanted; do
    # Such a package cannot be installed beside the others: its files are only unpacked, into target/unpacked.
    case $package in
    unpacked:*)
        package=${package#unpacked:}
        [ -d "$folder/$package" ] || unpacked="$unpacked $package"
        continue
        ;;
    esac
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing$unpacked" ] || exit 0

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
# Servers of our own are started: those that packages start at once would only be in their way. A machine that has
# its own word on that keeps it.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$sudo rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
    $sudo chmod 755 "$policy"
fi

echo "Installing:$missing$unpacked"
$sudo apt-get update -q
for package in $unpacked; do
    mkdir -p "$folder"
    (
        cd "$folder"
        apt-get download -q "$package"
        dpkg-deb --extract "$package"_*.deb "$package.new"
        rm "$package"_*.deb
        mv "$package.new" "$package"
    )
done
[ -n "$missing" ] || exit 0
# shellcheck disable=SC2086 # several words on purpose
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
