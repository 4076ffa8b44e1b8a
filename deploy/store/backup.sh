#!/bin/sh
# A copy of all that the store holds, to the standard output, while it runs:
#   docker compose exec -T redis sh /store/backup.sh >backup.rdb
set -eu
copy=/data/backup.rdb

trap 'rm -f "$copy"' EXIT
# Into a file first: what a pipe gets has the mark of the transfer at its end.
sh "$(dirname "$0")/admin.sh" --rdb "$copy" >&2
valkey-check-rdb "$copy" >&2
cat "$copy"
