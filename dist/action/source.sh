#!/bin/sh
# What the program is built of, as one hash: each file by its name and what is in it. What `src` takes in from beside it is in
# `dashboards` and `docs`.
set -eu
cd "$(dirname "$0")/../.."
sum=$(find Cargo.toml Cargo.lock src crates dashboards docs -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
echo "sha256=${sum%% *}" >>"$GITHUB_OUTPUT"
