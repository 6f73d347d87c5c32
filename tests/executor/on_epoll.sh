#!/bin/sh
# The suites of thread pools once more, with FX_BACKEND=epoll: as where the kernel has no io_uring, or
# refuses it. (Suites whose tests choose the backend themselves are not among them.)

rc=0
for program in $EPOLL_CHECKS; do
    echo "FX_BACKEND=epoll $program"
    FX_BACKEND=epoll "${builddir:-.}/$program" || rc=1
done
exit $rc
