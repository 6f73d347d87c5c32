#!/bin/sh
# The examples of the public headers compile. An example is what stands indented by four more
# columns in the comment that opens a header. Its paragraphs are taken for what they are: one whose
# unindented lines all declare something is a part of a file, any other the body of a function. A
# line of three dots is whatever the reader would put there, a return too.
# usage: header_examples.sh   (srcdir, CC and CPPFLAGS from the environment)

srcdir=${srcdir:-.}
CC=${CC:-cc}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT INT TERM

# Writes the example of header $1 as a C file; nothing if the header has none.
extract() {
    awk -v header="$(basename "$1" .h)" '
        function flush_paragraph() {
            if (paragraph == "")
                return
            found = 1
            if (declares)
                print paragraph
            else
                bodies = bodies "static void body_" ++count "(void)\n{\n" paragraph "}\n"
            paragraph = ""
        }
        BEGIN {
            declaration = "^(static|extern|typedef|struct|union|enum|const|void|int|bool|#|[}])"
            print "#define _GNU_SOURCE"
            print "#include <fxthread.h>"
            print "#include <fxthread/" header ".h>"
            print "#include <errno.h>\n#include <fcntl.h>\n#include <stdio.h>"
            print "#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>"
            # What examples speak of without defining it.
            print "bool ready(void);\nextern fx_thread *helper;"
        }
        /^ \*     / {
            line = substr($0, 8)
            if (line ~ /^ *\.\.\.$/)
                sub(/\.\.\./, ";", line)
            if (paragraph == "")
                declares = 1
            if (line ~ /^[^ ]/ && line !~ declaration)
                declares = 0
            paragraph = paragraph line "\n"
            depth += gsub(/\{/, "{", line) - gsub(/\}/, "}", line)
            next
        }
        /^ \*$/ && depth > 0 { next }
        { flush_paragraph() }
        /\*\// { exit }
        END {
            flush_paragraph()
            printf "%s", bodies
            exit !found
        }' "$1"
}

failed=0
compiled=0
for header in "$srcdir"/include/fxthread/*.h; do
    name=$(basename "$header" .h)
    extract "$header" >"$work/$name.c" || continue
    if $CC $CPPFLAGS -std=gnu11 -Wall -Wextra -Werror -Wno-unused-function -Wno-unused-variable \
        -Wno-unused-parameter -Wno-return-type -I"$srcdir/include" -c -o "$work/$name.o" "$work/$name.c"; then
        compiled=$((compiled + 1))
    else
        echo "$header: its example does not compile; as a file it is:"
        cat -n "$work/$name.c"
        failed=$((failed + 1))
    fi
done

echo "header_examples: $compiled compile, $failed do not"
[ "$failed" -eq 0 ] && [ "$compiled" -gt 0 ]
