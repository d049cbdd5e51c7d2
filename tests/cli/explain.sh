#!/bin/sh
# usage: tests/cli/explain.sh BINARY
# Each tests/cli/explain/*.expect is a command line, its exit status, and what it prints (both streams).
set -u
[ $# -eq 1 ] || { echo "usage: $0 BINARY" >&2; exit 2; }
binary=$(realpath "$1") || exit 2
cd "$(dirname "$0")/explain" || exit 2
found=$(mktemp) || exit 2
trap 'rm -f "$found"' EXIT

passed=0
failed=0
for expected in *.expect; do
    arguments=$(head -n 1 "$expected")
    # The command line is split at blanks, as a shell would; no pattern in it is to be expanded.
    set -f
    # shellcheck disable=SC2086
    "$binary" $arguments >"$found.out" 2>&1
    status=$?
    set +f
    { echo "$arguments"; echo "exit $status"; cat "$found.out"; } >"$found"
    rm -f "$found.out"
    if diff -u "$expected" "$found"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
