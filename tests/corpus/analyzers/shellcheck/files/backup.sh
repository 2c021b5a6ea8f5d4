#!/bin/sh
# Nightly backup of the databases.

set -e

TARGET=/var/backups/db
KEEP=14

for db in $(psql -At -c 'select datname from pg_database where not datistemplate'); do
    pg_dump "$db" | gzip > "$TARGET/$db-$(date +%F).sql.gz"
done

cd $TARGET
for file in $(ls *.gz); do
    if [ $(find "$file" -mtime +$KEEP) ]; then
        rm "$file"
    fi
done

if [ "$1" == "--verify" ]; then
    for file in *.gz; do
        gzip -t "$file" || echo "broken: $file"
    done
fi
