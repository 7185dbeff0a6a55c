#!/usr/bin/env bash
# Write the hash-locked requirement files from pyproject.toml. Needs uv.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() {
    uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-strip-extras --no-header --no-annotate \
        --quiet --upgrade "${@:2}" pyproject.toml -o "requirements/$1.txt"
}
lock base --extra build --extra postgres --extra redis
lock dev --extra build --extra postgres --extra redis --extra dev
