#!/bin/sh
# One `certvigil check` made of the action's inputs, which come as variables: nothing that is in them is run.
set -u
# Words are split at blanks and new lines, and are not patterns of files.
set -f
# shellcheck disable=SC2086 # several words on purpose
set -- ${CERTVIGIL_ARGS:-}
[ -z "${CERTVIGIL_CONFIG:-}" ] || set -- "$@" --config "$CERTVIGIL_CONFIG"
[ -z "${CERTVIGIL_CERT:-}" ] || set -- "$@" --cert "$CERTVIGIL_CERT"
[ -z "${CERTVIGIL_SSLMATE:-}" ] || set -- "$@" --sslmate "$CERTVIGIL_SSLMATE"
# shellcheck disable=SC2086 # several words on purpose
set -- "$@" -- ${CERTVIGIL_TARGETS:-}

if [ -n "${CERTVIGIL_WAIT:-}" ]; then
    certvigil check --format github --fail-on "${CERTVIGIL_FAIL_ON:-critical}" --wait "$CERTVIGIL_WAIT" "$@"
else
    certvigil check --format github --fail-on "${CERTVIGIL_FAIL_ON:-critical}" "$@"
fi
code=$?
# A second look, after the waiting: a file of what is so at the end.
if [ -n "${CERTVIGIL_JSON:-}" ]; then
    certvigil check --format json --output "$CERTVIGIL_JSON" --fail-on never "$@"
fi
echo "exit-code=$code" >>"${GITHUB_OUTPUT:-/dev/null}"
exit "$code"
