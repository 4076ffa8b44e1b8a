#!/bin/sh
# Writes the locked requirements: exact versions with the sums of their files, for every system at once.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
"$python" -m uv --version >/dev/null 2>&1 || "$python" -m pip install --quiet --disable-pip-version-check uv

compile() {
    target=$1
    shift
    "$python" -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --custom-compile-command 'make lock' --output-file "$target" "$@"
}

lock() {
    target=$1
    shift
    compile "$target" pyproject.toml "$@"
}

# The images run what the tests run: a part of the packages, at the versions of all of them.
lock_image() {
    compile "requirements/$1.txt" --group "$1" --constraint requirements/test.txt
}

lock requirements/lean.txt --extra api --extra embedded
lock requirements/service.txt --extra api --extra kafka
lock requirements.txt --extra api --extra embedded --extra kafka --extra tensorflow
lock requirements/test.txt --all-extras
for image in build ingest detect classify classify-gpu sink api camera; do
    lock_image "$image"
done
