#!/bin/sh
# Adds the program of this action's revision to the job's PATH. Builds it unless the cache has the program of the same source.
set -eu
action=$(dirname "$0")
folder=$HOME/.cache/certvigil
source=$(GITHUB_OUTPUT=/dev/stdout sh "$action/source.sh")
# The file `source` contains the hash of the source that the program was built from.
if [ ! -x "$folder/bin/certvigil" ] || [ "$(cat "$folder/source" 2>/dev/null)" != "$source" ]; then
    rm -f "$folder/source"
    mkdir -p "$folder/bin"
    cargo install --locked --root "$folder" --force --path "$action/../.."
    echo "$source" >"$folder/source"
fi
"$folder/bin/certvigil" --version
echo "$folder/bin" >>"$GITHUB_PATH"
