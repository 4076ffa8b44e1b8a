#!/bin/sh
# Runs valkey-cli in the container of the store; as the administrator, if the store has users:
#   docker compose exec redis sh /store/admin.sh INFO memory
# It ends with 1 if the store refuses.
set -eu
secret=/run/secrets/redis_admin_password

set -- -e "$@"
if [ -e "$secret" ]; then
    # Not as an option: a list of processes shows options to every user of the machine.
    REDISCLI_AUTH=$(cat "$secret")
    VALKEYCLI_AUTH=$REDISCLI_AUTH
    export REDISCLI_AUTH VALKEYCLI_AUTH
    set -- --user admin "$@"
fi
exec valkey-cli "$@"
