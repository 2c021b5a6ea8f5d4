#!/bin/sh
set -eu
export AWS_ACCESS_KEY_ID={{aws}}
export AWS_SECRET_ACCESS_KEY={{base64-40}}
pg_dump "$DATABASE_URL" | gzip | aws s3 cp - "s3://shop-backups/$(date +%F).sql.gz"
