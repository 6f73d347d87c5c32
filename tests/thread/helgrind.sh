#!/bin/sh
# Helgrind takes a join for what it is: it reports no race on what the thread wrote. (Of the
# library's own atomics it reports many, as it knows no atomics; those are not looked at.)

program=${builddir:-.}/tests/thread/shares_result
if ! command -v valgrind >/dev/null || ! [ -e /usr/include/valgrind/helgrind.h ]; then
    echo "valgrind or its header is not installed"
    exit 77
fi
if ldd "$program" | grep -qE 'lib(clang_rt\.)?(asan|tsan)'; then
    echo "a sanitizer and valgrind do not go together"
    exit 77
fi
if ! "$program"; then
    echo "the program fails even without Helgrind"
    exit 1
fi
report=$(mktemp) || exit 1
trap 'rm -f "$report"' EXIT
if ! valgrind --tool=helgrind --error-exitcode=0 --log-file="$report" "$program"; then
    if grep -q 'debuginfo reader' "$report"; then
        echo "this valgrind cannot read what this compiler writes for debuggers"
        exit 77
    fi
    cat "$report"
    exit 1
fi
if grep -q 'written_by_thread' "$report"; then
    grep -B12 'written_by_thread' "$report"
    exit 1
fi
