#!/bin/sh
# Runs every test against build/sluice: tests/run.sh UNIT-TEST-PROGRAM...   (make test and make check call it)
#
# A suite is a command whose last line is "N passed, N failed[, N skipped]"; a cmocka program says so in its own way. Suites run one
# after the other, their output goes to build/test-logs, and only what failed is printed. ONLY="wire unit" runs those suites alone,
# TEST="slow head" of them the tests whose name has all these words. tests/README.md tells more.
set -u
cd "$(dirname "$0")/.." || exit 2
logs=build/test-logs
mkdir -p $logs
passed=0
failed=0
skipped=0
began=$(date +%s)
# Debian keeps nghttpd and nghttpx in /usr/sbin, which is not on every user's PATH.
export PATH="$PATH:/usr/sbin:/sbin"
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0:exitcode=99}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1:exitcode=99}"

# What no Sluice of a test may say (event=bug, a sanitizer's report), one line each: tests/harness/sluice.py writes it.
export SLUICE_PROBLEMS="$PWD/$logs/problems"

wanted() { [ -z "${ONLY:-}" ] || case " $ONLY " in *" $1 "*) true ;; *) false ;; esac; }

# verdict PASSED FAILED SKIPPED
verdict() {
    echo "$1 passed, $2 failed$([ "$3" -eq 0 ] || echo ", $3 skipped")"
}

# count SUITE PASSED FAILED [SKIPPED]
count() {
    passed=$((passed + $2))
    failed=$((failed + $3))
    skipped=$((skipped + ${4:-0}))
    echo "$1: $(verdict "$2" "$3" "${4:-0}")"
}

# unit NAME PROGRAM: cmocka's own words are counted.
unit() {
    log=$logs/$(echo "$1" | tr / -).log
    "$2" >"$log" 2>&1
    status=$?
    ok=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log" | head -1)
    bad=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test.*/\1/p' "$log" | head -1)
    [ $status -eq 0 ] || [ "${bad:-0}" -gt 0 ] || bad=1
    [ "${bad:-0}" -eq 0 ] || cat "$log"
    count "$1" "${ok:-0}" "${bad:-0}"
}

# suite NAME COMMAND...
suite() {
    name=$1
    shift
    wanted "$name" || return 0
    log=$logs/$name.log
    rm -f "$SLUICE_PROBLEMS"
    "$@" >"$log" 2>&1
    status=$?
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -1)
    [ -n "${TEST:-}" ] && case $line in "0 passed, 0 failed"*) true ;; *) false ;; esac && return 0
    ok=$(echo "$line" | sed -n 's/^\([0-9]*\) passed.*/\1/p')
    bad=$(echo "$line" | sed -n 's/^[0-9]* passed, \([0-9]*\) failed.*/\1/p')
    left=$(echo "$line" | sed -n 's/.* failed, \([0-9]*\) skipped$/\1/p')
    [ -n "$line" ] && { [ $status -eq 0 ] || [ "${bad:-0}" -gt 0 ]; } || bad=$((${bad:-0} + 1))
    if [ -s "$SLUICE_PROBLEMS" ]; then
        bad=$((${bad:-0} + 1))
        { echo "a Sluice of this suite has said:"; head -20 "$SLUICE_PROBLEMS"; } >>"$log"
    fi
    [ "${bad:-0}" -eq 0 ] || tail -200 "$log"
    count "$name" "${ok:-0}" "${bad:-0}" "${left:-0}"
    [ "${left:-0}" -eq 0 ] || grep '^skipped ' "$log" | sed 's/^/  /'
}

# has_words NAME: of a unit test's program.
has_words() {
    for word in ${TEST:-}; do
        case $1 in *"$word"*) ;; *) return 1 ;; esac
    done
}

if wanted unit; then
    for program in "$@"; do
        name=$(echo "$program" | sed 's,.*/tests/,,')
        if has_words "$name"; then
            unit "$name" "$program"
        fi
    done
fi
# How many worlds are played; with the sanitizers each takes ten times as long.
case ${MODE:-release} in asan) seeds=150 ;; *) seeds=1000 ;; esac
if [ -n "${SIM:-}" ]; then
    suite sim "$SIM" --seeds "${SIM_SEEDS:-$seeds}" --jobs "$(nproc)" --reached tests/sim/reached.txt
    suite sim_regressions "$SIM" --regressions tests/sim/regressions.txt
    suite sim_cases "$SIM" --regressions tests/sim/cases.txt
    suite sim_replay tests/sim/replay.sh "$SIM"
    [ "$SIM" != build/release/sim ] || suite sim_mutants python3 tests/sim/mutants.py --ci --jobs "$(nproc)"
fi
# The fuzzers' names are words.
# shellcheck disable=SC2086
suite fuzz_corpus tests/fuzz/replay.sh ${FUZZERS:-}
suite law python3 tests/law/law.py
suite lint python3 tests/lint/run.py build/sluice
suite drift python3 tests/lint/drift.py build/sluice
suite cli tests/cli/explain.sh build/sluice
suite admin_cli python3 tests/cli/run.py build/sluice
# TEST is split into its words.
# shellcheck disable=SC2086
set -- ${TEST:-}
suite harness python3 tests/harness/run.py "$@"
suite standin python3 tests/standin/run.py "$@"
suite wire python3 tests/wire/run.py build/sluice "$@"
suite cluster python3 tests/cluster/run.py build/sluice "$@"
suite real python3 tests/real/run.py build/sluice "$@"

echo "$(($(date +%s) - began)) seconds; logs in $logs"
verdict $passed $failed $skipped
[ $failed -eq 0 ] && [ $passed -gt 0 ]
