#!/bin/sh
# Makes the secrets that deploy/compose.secrets.yml hands out, in the folder `secrets` or the one named. A secret that
# is there stays; redis_users is made of them each time. docs/docker.md tells how to change one.
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

for name in api_token grafana_admin_password redis_admin_password redis_reader_password redis_sink_password; do
    secret "$name"
done

# The server knows the sums of the passwords alone. Without one, all that it answers is whether it lives.
sum() {
    sha256sum <"$1" | cut -d ' ' -f 1
}

read="+@read +@connection +time -@dangerous"
write="+@read +@write +@connection +@scripting +@transaction +time -@dangerous +info"
cat >redis_users.new <<USERS
user default on nopass resetchannels -@all +ping
user admin on #$(sum redis_admin_password) ~* &* +@all
user reader on #$(sum redis_reader_password) ~agegender:* resetchannels -@all $read
user sink on #$(sum redis_sink_password) ~agegender:* resetchannels -@all $write
USERS
chmod 444 redis_users.new
mv -f redis_users.new redis_users
