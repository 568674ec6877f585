#!/bin/sh
# Common part of the deploy hooks of ACME clients: check.sh FILE
# Reloads the server, then checks that every address serves the certificate in FILE, a leaf and its chain. See docs/hooks.md.
#
# Settings come from the environment, or from a file of shell assignments, by default /etc/certvigil/hook.conf:
#   CERTVIGIL_RELOAD   command that reloads the server; without it, the hook only checks
#   CERTVIGIL_TARGETS  targets of `certvigil check`; without them, the names of the certificate
#   CERTVIGIL_WAIT     maximum time until every address serves the certificate, 1m by default
#   CERTVIGIL_ARGS     additional flags of `certvigil check`
set -u
settings=${CERTVIGIL_HOOK_CONF:-/etc/certvigil/hook.conf}
if [ -r "$settings" ]; then
    # shellcheck source=/dev/null
    . "$settings"
fi
if [ -n "${CERTVIGIL_RELOAD:-}" ]; then
    # After a failed reload, the check shows which addresses serve the previous certificate.
    sh -c "$CERTVIGIL_RELOAD" || echo "certvigil hook: the reload failed: $CERTVIGIL_RELOAD" >&2
fi
# Words are split at spaces, without file name patterns.
set -f
# shellcheck disable=SC2086 # several words on purpose
exec certvigil check --cert "$1" --fail-on critical --wait "${CERTVIGIL_WAIT:-1m}" ${CERTVIGIL_ARGS:-} -- ${CERTVIGIL_TARGETS:-}
