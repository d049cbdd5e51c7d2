#!/bin/sh
# Feeds each fuzzer its corpus once: tests/fuzz/replay.sh PROGRAM...   (tests/run.sh calls it, suite fuzz_corpus)
#
# Needs no libFuzzer. A program whose name has not all the words of TEST is left out; the last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 2
passed=0
failed=0
for program in "$@"; do
    name=$(basename "$program" | sed 's/^fuzz_//')
    for word in ${TEST:-}; do
        case fuzz_$name in *"$word"*) ;; *) continue 2 ;; esac
    done
    log=build/test-logs/fuzz-$name.log
    if "$program" "tests/fuzz/corpus/$name" >"$log" 2>&1 </dev/null; then
        passed=$((passed + $(sed -n 's/^\([0-9]*\) passed, 0 failed$/\1/p' "$log" | tail -1)))
    else
        failed=$((failed + 1))
        tail -60 "$log"
        # Each input is named before it is fed.
        echo "$name: it ends with $(grep '^tests/fuzz/corpus/' "$log" | tail -1)"
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
