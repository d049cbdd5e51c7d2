#!/bin/sh
# Runs fuzzers for a while, two at a time: tests/fuzz/run.sh PROGRAM...   (make fuzz calls it)
#
# Each begins with the inputs of tests/fuzz/corpus/NAME and with those that earlier runs have kept in build/fuzz-corpus/NAME; new ones go there.
# FUZZ_SECONDS=600 is how long each of them runs (20), FUZZ_JOBS how many at a time, TEST="h2 server" the words that all must stand in
# the name. FUZZ_SEED=1 makes the same numbers each time (0: others each time). One that finds something stops and fails: the input lies in build/fuzz-finds, and the line that replays it is printed. The last
# line is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 2
seconds=${FUZZ_SECONDS:-20}
finds=build/fuzz-finds
# A freed block is not used again within an input; with more of them each input pays for fresh pages.
export ASAN_OPTIONS="detect_leaks=1:quarantine_size_mb=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"

# run_one PROGRAM: its log in $finds/NAME.log, and one line of its own.
run_one() {
    name=$(basename "$1" | sed 's/^fuzz_//')
    log=$finds/$name.log
    own=build/fuzz-corpus/$name
    mkdir -p "$own"
    rm -f "$finds/$name"-*
    set -- "$1" -max_total_time="$seconds" -max_len=4096 -len_control=20 -timeout=25 -rss_limit_mb=2560 -print_final_stats=1 -seed="${FUZZ_SEED:-0}" \
        -artifact_prefix="$finds/$name-" "$own" "tests/fuzz/corpus/$name"
    [ ! -f "tests/fuzz/fuzz_$name.dict" ] || set -- "$@" -dict="tests/fuzz/fuzz_$name.dict"
    if "$@" >"$log" 2>&1 </dev/null; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        each=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
        echo "$name: $runs inputs, $each in a second"
        return 0
    fi
    {
        tail -60 "$log"
        echo "$name: a find, its log in $log"
        for input in "$finds/$name"-*; do
            [ ! -f "$input" ] || echo "  $input; again with: FUZZ_TRACE=1 $1 $input"
        done
    } >&2
    return 1
}

if [ "${1:-}" = --one ]; then
    run_one "$2"
    exit
fi

mkdir -p $finds
rm -f $finds/failed
programs=""
for program in "$@"; do
    for word in ${TEST:-}; do
        case $(basename "$program") in *"$word"*) ;; *) continue 2 ;; esac
    done
    programs="$programs $program"
done
[ -n "$programs" ] || { echo "no fuzzer has these words in its name: ${TEST:-}"; echo "0 passed, 0 failed"; exit 1; }
# shellcheck disable=SC2086
printf '%s\n' $programs | xargs -P "${FUZZ_JOBS:-2}" -I {} sh -c "tests/fuzz/run.sh --one {} || echo {} >>$finds/failed"
failed=0
[ ! -f $finds/failed ] || failed=$(wc -l <$finds/failed)
count=$(echo "$programs" | wc -w)
echo "$((count - failed)) passed, $((failed)) failed"
[ "$failed" -eq 0 ]
