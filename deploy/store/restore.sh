#!/bin/sh
# Puts a copy that backup.sh made, from the standard input, in the place of what the store holds, while it is stopped:
#   docker compose run --rm -T --no-deps --entrypoint sh redis /store/restore.sh <backup.rdb
set -eu
cd /data

if valkey-cli -h redis ping >/dev/null 2>&1; then
    echo 'The store runs: `docker compose stop sink redis` first.' >&2
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
    echo 'What the store held lies beside it as /data/appendonlydir.before, until the next time or until you remove it.'
fi
mv restored appendonlydir
