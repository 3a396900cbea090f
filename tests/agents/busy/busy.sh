#!/bin/bash
# Processes that compute, and processes that come and go through pipes, until a line is typed.
for _ in 1 2; do
    while :; do :; done &
    while :; do /bin/true | cat; done &
done
echo "busy"
read -r line
echo "heard: $line"
kill $(jobs -p)
wait
