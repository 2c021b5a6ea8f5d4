#!/bin/sh
set -e

if [ "${1#-}" != "$1" ]; then
    set -- myserver "$@"
fi

if [ "$1" = 'myserver' ] && [ "$(id -u)" = '0' ]; then
    find . \! -user app -exec chown app '{}' +
    exec su-exec app "$0" "$@"
fi

: "${DATA_DIR:=/data}"
export DATA_DIR

if [ -n "$EXTRA_ARGS" ]; then
    # Meant to be split.
    # shellcheck disable=SC2086
    set -- "$@" $EXTRA_ARGS
fi

exec "$@"
