#!/bin/bash
# provoke.sh WHAT [once|busy]: writes WHAT to /dev/provoke, or waits where it is `wait`; with `once` not in a second life, with
# `busy` beside other processes that keep the kernel busy.
if [ "$2" = once ]; then
    if [ -e /share/lived ]; then
        echo "second life"
        exit 0
    fi
    touch /share/lived
fi
echo "first life"
if [ "$2" = busy ]; then
    for _ in 1 2 3 4; do
        while :; do /bin/true | cat; done &
    done
    sleep 1
fi
if [ "$1" = wait ]; then
    sleep 1000
else
    echo "$1" > /dev/provoke
fi
echo "the write came back: $?"
