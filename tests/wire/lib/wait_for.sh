#!/bin/sh
# Waits until a file has a line with a pattern: wait_for.sh PATTERN FILE. Fails after 45 seconds.
# Scenarios call it as ${wait_for}.
for _ in $(seq 900); do
    grep -q -- "$1" "$2" 2>/dev/null && exit 0
    sleep 0.05
done
echo "no \"$1\" in $2:"
tail -5 "$2"
exit 1
