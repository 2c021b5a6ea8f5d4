#!/bin/bash
# Restarts the server when a source file changes.

pid=

start() {
    python3 -m server &
    pid=$!
}

stop() {
    [ -n "$pid" ] && kill "$pid"
    wait "$pid" 2>/dev/null
}

trap stop EXIT
start

inotifywait -m -r -e modify src |
while read -r path _ file; do
    count=$((count + 1))
    [[ "$file" == "*.py" ]] || continue
    echo "$path$file"
    stop
    start
done

echo "restarted $count times"
