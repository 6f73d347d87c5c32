#!/bin/sh
# Prints what the last `make check` in a build folder ($1, or this one) came to, as one line:
#
#     N passed, N failed
#
# with ", N skipped" where some were. A program that uses Check counts with each of its tests, as
# its own closing line says ("100%: Checks: 7, Failures: 0, Errors: 0"); any other test is one. A
# Check program that failed in another way than by its tests (it crashed, or a sanitizer ended it)
# is one failure more. Succeeds if nothing failed and something passed.

cd "${1:-.}" || exit 2

find . -name '*.trs' | sort | {
    passed=0 failed=0 skipped=0
    while IFS= read -r trs; do
        log=${trs%.trs}.log
        verdict=$(sed -n 's/^:test-result: *\([A-Z]*\).*/\1/p' "$trs" | head -n 1)
        # shellcheck disable=SC2046 # three numbers, or none
        set -- $(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\)$/\1 \2 \3/p' \
                     "$log" 2>/dev/null |
                 awk '{ c += $1; f += $2 + $3 } END { if (NR) print c, f }')
        if [ $# -eq 2 ]; then
            passed=$((passed + $1 - $2))
            failed=$((failed + $2))
            case $verdict in
            PASS) ;;
            *) [ "$2" -gt 0 ] || failed=$((failed + 1)) ;;
            esac
        else
            case $verdict in
            PASS | XFAIL) passed=$((passed + 1)) ;;
            SKIP) skipped=$((skipped + 1)) ;;
            *) failed=$((failed + 1)) ;;
            esac
        fi
    done
    if [ "$skipped" -gt 0 ]; then
        echo "$passed passed, $failed failed, $skipped skipped"
    else
        echo "$passed passed, $failed failed"
    fi
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
