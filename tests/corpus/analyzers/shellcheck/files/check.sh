#!/bin/bash
set -e

status=0
for url in "$@"; do
    code=$(curl -s -o /dev/null -w '%{http_code}' "$url")
    if [ "$code" -ge 400 -a "$code" -lt 600 ]; then
        echo "$url: $code"
        status=1
    fi
done

if [ "$status" -eq 1 ]
    echo "some failed"
fi

exit $status
