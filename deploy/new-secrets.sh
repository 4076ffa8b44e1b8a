#!/bin/sh
# Makes the secrets that deploy/compose.secrets.yml hands out, in the folder `secrets` or the one named. What is
# there stays: to change a password, remove its file and redis_users, run this again, and `docker compose up` anew.
set -eu
folder=${1:-secrets}

# The folder keeps out everybody else on this machine; in it, the users inside the containers must be able to read.
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

secret() {
    [ -s "$1" ] || od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$1"
    chmod 444 "$1"
}

for name in api_token grafana_admin_password redis_reader_password redis_sink_password; do
    secret "$name"
done

# The server knows the sums of the passwords alone. Without one, all that it answers is whether it lives.
sum() {
    sha256sum <"$1" | cut -d ' ' -f 1
}

read="+@read +@connection +time -@dangerous"
write="+@read +@write +@connection +@scripting +@transaction +time -@dangerous"
if [ ! -s redis_users ]; then
    cat >redis_users <<USERS
user default on nopass resetchannels -@all +ping
user reader on #$(sum redis_reader_password) ~agegender:* resetchannels -@all $read
user sink on #$(sum redis_sink_password) ~agegender:* resetchannels -@all $write
USERS
fi
chmod 444 redis_users
