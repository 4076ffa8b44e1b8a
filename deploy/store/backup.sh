#!/bin/sh
# Writes a copy of all data of the running store to standard output:
#   docker compose exec -T redis sh /store/backup.sh >backup.rdb
set -eu
copy=/data/backup.rdb

trap 'rm -f "$copy"' EXIT
# Into a file first: in a pipe, the copy would end with the mark of the transfer.
sh "$(dirname "$0")/admin.sh" --rdb "$copy" >&2
valkey-check-rdb "$copy" >&2
cat "$copy"
