#!/bin/sh
# Puts the program of the very revision of this action on the job's PATH. Built once for each: the cache has it afterwards.
set -eu
folder=$HOME/.cache/certvigil
if [ ! -x "$folder/bin/certvigil" ]; then
    cargo install --locked --root "$folder" --path "$(dirname "$0")/../.."
fi
"$folder/bin/certvigil" --version
echo "$folder/bin" >>"$GITHUB_PATH"
