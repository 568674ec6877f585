#!/bin/sh
# What the program is built of, as one hash.
set -eu
cd "$(dirname "$0")/../.."
sum=$(find Cargo.toml Cargo.lock src dashboards -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | sha256sum)
echo "sha256=${sum%% *}" >>"$GITHUB_OUTPUT"
