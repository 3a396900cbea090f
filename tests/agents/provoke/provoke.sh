#!/bin/bash
# provoke.sh WHAT [once]: writes WHAT to /dev/provoke, or waits where it is `wait`; with `once` not in a second life.
if [ "$2" = once ]; then
    if [ -e /share/lived ]; then
        echo "second life"
        exit 0
    fi
    touch /share/lived
fi
echo "first life"
if [ "$1" = wait ]; then
    sleep 1000
else
    echo "$1" > /dev/provoke
fi
echo "the write came back: $?"
