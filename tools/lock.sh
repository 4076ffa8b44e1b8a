#!/bin/sh
# Resolves all dependencies together into uv.lock, and writes the requirement files from it.
# Each version is exact, each file has its hash, and one lock serves every system and every Python.
#   tools/lock.sh             keeps the versions that still fit pyproject.toml
#   tools/lock.sh --upgrade   takes the newest ones
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

uv() {
    "$python" -m uv --quiet --no-config "$@"
}

# First the file, then the options of `uv export` that say what is in it.
export_to() {
    target=$1
    shift
    set -- --no-default-groups --no-emit-project "$@"
    {
        echo "# Written by \`make lock\`: uv export $*"
        uv export --frozen --no-header "$@"
    } >"$target.new"
    mv "$target.new" "$target"
}

uv lock --default-index https://pypi.org/simple "$@"

# Photos, videos and `agegender run` on one machine.
export_to requirements/lean.txt --extra api --extra embedded
# All services and commands, over Kafka and Redis.
export_to requirements/service.txt --extra api --extra kafka
# Both, and TensorFlow.
export_to requirements.txt --all-extras
# And the tools of the tests.
export_to requirements/test.txt --all-extras --group dev --group weights
# uv itself, for the stage of the Dockerfile that installs the other images' packages from uv.lock.
export_to requirements/build.txt --only-group image-build
# Classify on a GPU, without containers.
export_to requirements/classify-gpu.txt --only-group image-classify-gpu
