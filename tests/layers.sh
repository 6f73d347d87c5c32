#!/bin/sh
# The floors of the library: a file under lib/ includes its own floor and those below it, no other.
# lib/sync, besides, waits through lib/park and never includes lib/kernel.

floors="base kernel libc context stop park sync thread future executor"
lib=${srcdir:-.}/lib
breaches=0
files=0

# The height of floor $1, or nothing if there is no such floor.
height() {
    n=0
    for floor in $floors; do
        n=$((n + 1))
        if [ "$floor" = "$1" ]; then
            echo $n
            return
        fi
    done
}

breach() {
    echo "$1: $2"
    breaches=$((breaches + 1))
}

list=$(find "$lib" -name '*.[chS]' | sort)
for file in $list; do
    files=$((files + 1))
    path=${file#"$lib"/}
    floor=${path%%/*}
    mine=$(height "$floor")
    if [ -z "$mine" ]; then
        breach "$path" "is on no floor"
        continue
    fi
    for include in $(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' \
                         "$file"); do
        case $include in
        */*) target=${include%%/*} ;;
        *) target=$floor ;;
        esac
        if [ "$target" = fxthread ] || [ "$include" = fxthread.h ]; then
            continue
        fi
        theirs=$(height "$target")
        if [ -z "$theirs" ]; then
            breach "$path" "includes \"$include\", which is on no floor"
        elif [ "$theirs" -gt "$mine" ]; then
            breach "$path" "includes \"$include\" of a higher floor"
        elif [ "$floor" = sync ] && [ "$target" = kernel ]; then
            breach "$path" "includes \"$include\": lib/sync waits through lib/park"
        fi
    done
done

if [ "$files" -eq 0 ]; then
    echo "no sources under $lib"
    exit 1
fi
echo "$files files, $breaches breaches"
[ "$breaches" -eq 0 ]
