#!/bin/sh
# Installs, uses, upgrades, removes and purges the Debian package in a separate root: package.sh ROOT PACKAGE, as a hook of
# mmdebstrap (tests/repository/debian.rs). The first failing step ends it; the last line of the output names the step.
set -eu
root=$1
package=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

say() { echo "package: $*"; }

# Lists the files in the root, without those that dpkg and ldconfig write for themselves.
files() {
    (cd "$root" && find . -xdev ! -path './proc/*' ! -path './sys/*' ! -path './dev/*' ! -path './tmp/*' ! -path './var/log/*' \
        ! -path './var/cache/*' ! -path './var/lib/dpkg/*-old' | sort)
}

# shellcheck disable=SC2016 # a variable of dpkg-query
state() { chroot "$root" dpkg-query --show --showformat '${db:Status-Status}' certvigil; }

files >"$folder/before"
cp "$package" "$root/tmp/certvigil.deb"

say install it, without systemd
chroot "$root" dpkg --install /tmp/certvigil.deb
[ "$(state)" = installed ]
chroot "$root" dpkg --verify certvigil
# The service is not enabled, because it has nothing to probe, and no user is added, because a purge could not remove it.
[ ! -e "$root/etc/systemd/system/multi-user.target.wants/certvigil.service" ]
if grep certvigil "$root/etc/passwd" "$root/etc/group"; then exit 1; fi

say show the pictures of the documentation
sed -n 's/^!\[.*\](\(.*\))$/\1/p' "$root/usr/share/doc/certvigil/docs/"*.md | sort -u >"$folder/pictures"
[ -s "$folder/pictures" ]
while read -r picture; do
    [ -s "$root/usr/share/doc/certvigil/docs/$picture" ]
done <"$folder/pictures"

say read the configuration
chroot "$root" certvigil config check /etc/certvigil/certvigil.yml
chroot "$root" bash -n /usr/share/bash-completion/completions/certvigil

say start it by the line of the unit, as a user without a name or rights, in a network of its own
command=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/certvigil.service")
user=61184 # the first of systemd's dynamic users
mkdir -m 700 "$root/var/lib/certvigil"
chown $user:$user "$root/var/lib/certvigil"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$folder/key.pem" \
    -out "$root/tmp/cert.pem" -days 90 -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>"$folder/log"
cat >"$folder/run" <<'END'
set -eu
root=$1 folder=$2 user=$3
shift 3
ip link set lo up
# shellcheck disable=SC2086 # several words on purpose
chroot "$root" setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --inh-caps=-all \
    --bounding-set=-all "$@" 2>"$folder/log" &
monitor=$!
openssl s_server -quiet -accept 127.0.0.1:8443 -cert "$root/tmp/cert.pem" -key "$folder/key.pem" </dev/null >/dev/null 2>&1 &
server=$!
trap 'kill $monitor $server 2>/dev/null || true; cat "$folder/log"' EXIT
curl() { command curl --silent --show-error --fail --retry 60 --retry-delay 1 --retry-all-errors --noproxy '*' "$@"; }
curl --output "$folder/ready" http://127.0.0.1:10843/-/ready
curl --output "$folder/metrics" http://127.0.0.1:10843/metrics
grep '^certvigil_build_info{' "$folder/metrics"
# There is no name server in this network.
grep '^certvigil_endpoint_status{.*hostname="www.example.com".*status="connect_error"} 1' "$folder/metrics"

echo package: check a server
timeout 60 sh -c 'until : | openssl s_client -connect 127.0.0.1:8443 >/dev/null 2>&1; do :; done'
chroot "$root" certvigil check --cert /tmp/cert.pem --ca-file /tmp/cert.pem --fail-on critical \
    --resolve localhost:8443:127.0.0.1 localhost:8443
chroot "$root" certvigil demo >"$folder/demo"
tail -1 "$folder/demo"

echo package: stop it
kill $monitor
wait $monitor
END
# shellcheck disable=SC2086 # several words on purpose
unshare --net sh "$folder/run" "$root" "$folder" $user $command
[ -n "$(ls "$root/var/lib/certvigil")" ]

say keep what an administrator has written, over an upgrade and a removal
echo '# ours' >>"$root/etc/certvigil/certvigil.yml"
chroot "$root" dpkg --install /tmp/certvigil.deb
tail -1 "$root/etc/certvigil/certvigil.yml" | grep '# ours'

say where systemd runs, tell it
mkdir -p "$root/run/systemd/system"
# mmdebstrap uses it to forbid the start of services in this root; it would also prevent their stop.
policy=$root/usr/sbin/policy-rc.d
mv "$policy" "$folder/policy"
printf '#!/bin/sh\necho "systemctl $*" >>/tmp/calls\n' >"$root/usr/bin/systemctl"
chmod 755 "$root/usr/bin/systemctl"
chroot "$root" dpkg --install /tmp/certvigil.deb
chroot "$root" dpkg --remove certvigil
mv "$folder/policy" "$policy"
cat "$root/tmp/calls"
rm -r "$root/run/systemd" "$root/usr/bin/systemctl"
[ ! -e "$root/usr/bin/certvigil" ]
[ "$(state)" = config-files ]
[ -d "$root/var/lib/certvigil" ]

say purge it
chroot "$root" dpkg --purge certvigil
files >"$folder/after"
diff "$folder/before" "$folder/after"
say nothing is left
