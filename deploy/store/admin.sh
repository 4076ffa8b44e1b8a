#!/bin/sh
# valkey-cli in the container of the store, as the user who may do everything, where the store has users:
#   docker compose exec redis sh /store/admin.sh INFO memory
# It ends with 1 where the store refuses.
set -eu
secret=/run/secrets/redis_admin_password

set -- -e "$@"
if [ -e "$secret" ]; then
    # Not as an option: those can be read by whoever lists the processes of the machine.
    REDISCLI_AUTH=$(cat "$secret")
    VALKEYCLI_AUTH=$REDISCLI_AUTH
    export REDISCLI_AUTH VALKEYCLI_AUTH
    set -- --user admin "$@"
fi
exec valkey-cli "$@"
