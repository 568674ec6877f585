#!/bin/sh
# Renew hook of acme.sh: acme.sh --issue … --renew-hook /usr/share/certvigil/hooks/acme-sh.sh
# See docs/hooks.md.
set -u
: "${CERT_FULLCHAIN_PATH:?acme.sh sets it for hooks; for a trial, set it to a file such as ~/.acme.sh/NAME_ecc/fullchain.cer}"
exec sh "$(dirname "$(realpath "$0")")/check.sh" "$CERT_FULLCHAIN_PATH"
