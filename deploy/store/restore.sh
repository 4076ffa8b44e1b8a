#!/bin/sh
# Replaces the data of the stopped store by a copy of backup.sh, from standard input:
#   docker compose run --rm -T --no-deps --entrypoint sh redis /store/restore.sh <backup.rdb
set -eu
cd /data

if valkey-cli -h redis ping >/dev/null 2>&1; then
    echo 'The store is running. First stop it: docker compose stop sink redis' >&2
    exit 1
fi
trap 'rm -rf restored' EXIT
rm -rf restored
mkdir restored
cat >restored/appendonly.aof.1.base.rdb
valkey-check-rdb restored/appendonly.aof.1.base.rdb
echo 'file appendonly.aof.1.base.rdb seq 1 type b' >restored/appendonly.aof.manifest

if [ -e appendonlydir ]; then
    rm -rf appendonlydir.before
    mv appendonlydir appendonlydir.before
    echo 'The old data is in /data/appendonlydir.before. Remove it when all is well; the next restore replaces it.'
fi
mv restored appendonlydir
