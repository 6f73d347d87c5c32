#!/bin/sh
# The man pages have no fault that mandoc warns of.

if [ -z "${MANDOC:-}" ]; then
    echo "mandoc is not installed"
    exit 77
fi
set -- "${srcdir:-.}"/man/*.[1-9]
if [ ! -e "$1" ]; then
    echo "there are no man pages"
    exit 77
fi
$MANDOC -Tlint -Wwarning "$@"
