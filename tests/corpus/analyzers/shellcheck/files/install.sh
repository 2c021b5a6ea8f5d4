#!/bin/bash

set -eu

PREFIX=${PREFIX:-/usr/local}
FILES=(bin/tool share/man/man1/tool.1)

if [[ $EUID > 0 ]]; then
    echo "run as root"
    exit 1
fi

while read line; do
    case $line in
        \#*) continue ;;
        *) pkgs+=("$line") ;;
    esac
done < packages.txt

for file in ${FILES[@]}; do
    install -D -m 644 "$file" "$PREFIX/$file"
done

chmod +x $PREFIX/bin/tool

if [ -n $DESTDIR ]; then
    echo "installed below $DESTDIR"
fi

echo "done" > /dev/null 2>&1
sudo echo "$PREFIX/lib" > /etc/ld.so.conf.d/tool.conf
