#!/bin/sh
# The shared library exports what the public headers declare, all of it and nothing else.

library=${builddir:-.}/.libs/libfxthread.so
if [ ! -e "$library" ]; then
    echo "no shared library was built"
    exit 77
fi
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

# A declaration begins with FX_API, and the first fx_name before a parenthesis is what it declares; of
# a variable, the last before its attributes.
cat "${srcdir:-.}"/include/fxthread/*.h |
    tr '\n' ' ' | sed 's/FX_API/\n&/g' | grep '^FX_API' | grep -v '^FX_API __attribute__' |
    sed -n -e 's/^FX_API extern [^;(]*[^a-zA-Z0-9_]\(fx_[a-z0-9_]*\) *__attribute__.*/\1/p' -e t \
        -e 's/^[^;(]*[^a-zA-Z0-9_]\(fx_[a-z0-9_]*\)(.*/\1/p' | sort -u > "$folder/declared"
${NM:-nm} -D --defined-only "$library" | sed -n 's/.* [A-Z] \([a-z][^@]*\).*/\1/p' |
    sort -u > "$folder/exported"

if ! [ -s "$folder/declared" ]; then
    echo "no declarations were found"
    exit 1
fi
if ! cmp -s "$folder/declared" "$folder/exported"; then
    echo "declared and not exported:" "$(comm -23 "$folder/declared" "$folder/exported" | tr '\n' ' ')"
    echo "exported and not declared:" "$(comm -13 "$folder/declared" "$folder/exported" | tr '\n' ' ')"
    exit 1
fi
echo "$(wc -l < "$folder/declared") functions"
