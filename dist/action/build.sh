#!/bin/sh
# Adds the program of this action's revision to the job's PATH. Builds it if it is not in the cache.
set -eu
folder=$HOME/.cache/certvigil
if [ ! -x "$folder/bin/certvigil" ]; then
    cargo install --locked --root "$folder" --path "$(dirname "$0")/../.."
fi
"$folder/bin/certvigil" --version
echo "$folder/bin" >>"$GITHUB_PATH"
