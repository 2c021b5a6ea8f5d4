#!/bin/bash

find build -name '*.o' | xargs rm
rm -rf ~/"cache"
rm -rf "~/.tool"
rm -f $(find . -name '*.tmp')

dirs="a b c"
for d in $dirs; do
    rmdir "$d"
done

ps aux | grep server | grep -v grep | awk '{print $2}' | xargs -r kill
echo 'cleaned $dirs'
