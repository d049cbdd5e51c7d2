#!/bin/sh
# The same seed is the same world: tests/sim/replay.sh SIM. Each of some seeds is played twice, and every event must come at the same time.
set -u
passed=0
failed=0
for seed in 1 12 123 1234; do
    first=$("$1" --seed $seed | grep -o 'fingerprint [0-9a-f]*')
    second=$("$1" --seed $seed | grep -o 'fingerprint [0-9a-f]*')
    if [ -n "$first" ] && [ "$first" = "$second" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "seed $seed: '$first' and then '$second'"
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
