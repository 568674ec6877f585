#!/bin/sh
# Renew hook of lego: lego … renew --renew-hook /usr/share/certvigil/hooks/lego.sh
# The file must contain the chain, so do not use lego's --no-bundle. See docs/hooks.md.
set -u
: "${LEGO_CERT_PATH:?lego sets it for hooks; for a trial, set it to a file such as ~/.lego/certificates/NAME.crt}"
exec sh "$(dirname "$(realpath "$0")")/check.sh" "$LEGO_CERT_PATH"
