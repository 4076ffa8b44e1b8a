#!/bin/sh
# Writes the locked requirements: exact versions with the sums of their files, for every system at once.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
"$python" -m pip install --quiet --disable-pip-version-check uv

lock() {
    target=$1
    shift
    "$python" -m uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --custom-compile-command 'make lock' --output-file "$target" "$@"
}

lock requirements/lean.txt --extra api --extra embedded
lock requirements/service.txt --extra api --extra kafka
lock requirements.txt --extra api --extra embedded --extra kafka --extra tensorflow
lock requirements/test.txt --all-extras
