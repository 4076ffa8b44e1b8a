#!/bin/sh
# Makes the secrets of deploy/compose.secrets.yml, in the folder `secrets` or in the one given. Existing secrets stay;
# redis_users is made from them each time. docs/docker.md explains how to change one.
set -eu
folder=${1:-secrets}

# Other users of this machine cannot enter the folder. The users inside the containers must be able to read the files.
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

# The server gets only the hashes of the passwords. A client without a password may only ping it.
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
