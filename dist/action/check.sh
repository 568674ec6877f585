#!/bin/sh
# Runs `certvigil check` with the inputs of the action, which are variables. No input is executed.
set -u
# Splits words at spaces and newlines, without file name patterns.
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
# One more probe after the wait, for the final state as JSON.
if [ -n "${CERTVIGIL_JSON:-}" ]; then
    certvigil check --format json --output "$CERTVIGIL_JSON" --fail-on never "$@"
fi
echo "exit-code=$code" >>"${GITHUB_OUTPUT:-/dev/null}"
exit "$code"
