#!/bin/sh
# Deploy hook of certbot: certbot renew --deploy-hook /usr/share/certvigil/hooks/certbot.sh
# Or a symbolic link in /etc/letsencrypt/renewal-hooks/deploy/. See docs/hooks.md.
set -u
: "${RENEWED_LINEAGE:?certbot sets it for deploy hooks; for a trial, set it to a directory such as /etc/letsencrypt/live/NAME}"
exec sh "$(dirname "$(realpath "$0")")/check.sh" "$RENEWED_LINEAGE/fullchain.pem"
