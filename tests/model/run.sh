#!/bin/sh
# Checks the models with spin: each must hold, and each mutant of it, which leaves out or breaks one
# step, must be caught, or the model would not see what it is there for. Skipped (77) without spin.
# The checkers run here, so they are made by cc, whatever the library is built with.
#
#   tests/model/run.sh          all of it, some minutes
#   tests/model/run.sh lock     one model and its mutants, as check_lock.sh does

models=${srcdir:-$(dirname "$0")/../..}/tests/model
only=$1
megabytes=800
seconds=120
failures=0

if ! command -v spin >/dev/null || ! command -v cc >/dev/null; then
    echo "skipped: spin or a C compiler is not installed"
    exit 77
fi
if [ "${FX_TEST_SCALE:-100}" -lt 100 ]; then
    echo "skipped: the models do not change with the build, and are checked at full scale only"
    exit 77
fi
models=$(cd "$models" && pwd) || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
cd "$scratch" || exit 1

# What becomes of model $1 with the definitions after it: `holds`, `caught: ...`, or `broken: ...`
# where the model could not be checked to its end.
verdict() {
    model=$1
    shift
    rm -f pan pan.* output
    if ! spin -a "$@" "$models/$model.pml" >output 2>&1 ||
        ! cc $optimise -w -DSAFETY -DCOLLAPSE -DMEMLIM=$megabytes -o pan pan.c >>output 2>&1; then
        echo "broken: $(head -n 1 output)"
        return
    fi
    # In the barrier's model some may sleep at the end, and a process of it judges who.
    [ "$model" = barrier ] && ends=-E || ends=
    timeout $seconds ./pan $ends -m200000 >output 2>&1
    if grep -q 'errors: [1-9]' output; then
        echo "caught: $(sed -n 's/^pan:1: //p' output | cut -c 1-60)"
    elif grep -q 'errors: 0' output && ! grep -q -e 'max search depth' -e 'MEMLIM' \
        -e 'Search not completed' output; then
        echo "holds"
    else
        echo "broken: out of time or memory"
    fi
}

# check model definitions...
check() {
    [ -z "$only" ] || [ "$only" = "$1" ] || return 0
    optimise=-O1
    result=$(verdict "$@")
    echo "model   $*: $result"
    [ "$result" = holds ] || failures=$((failures + 1))
}

# mutant name model definitions...
mutant() {
    name=$1
    shift
    [ -z "$only" ] || [ "$only" = "$1" ] || return 0
    optimise=-O0 # it is caught sooner than an optimised checker would be made
    result=$(verdict "$@" "-D$name")
    echo "mutant  $name in $*: $result"
    case $result in
    caught*) ;;
    *) failures=$((failures + 1)) ;;
    esac
}

# --- the lock: both forms of the release ----------------------------------------------------------

check lock -DTHREADS=2 -DROUNDS=2
check lock -DTHREADS=3
check lock -DTHREADS=2 -DROUNDS=2 -DRSEQ
check lock -DTHREADS=3 -DRSEQ
check lock -DTHREADS=2 -DROUNDS=2 -DRSEQ -DFOREIGN
# The contender sets CONTENDED and trusts it: without a barrier, with one that leaves sequences that
# have begun alone, or with one that leaves store buffers alone.
mutant NO_BARRIER lock -DTHREADS=2 -DROUNDS=2 -DRSEQ
mutant BARRIER_WITHOUT_ABORT lock -DTHREADS=2 -DROUNDS=2 -DRSEQ
mutant BARRIER_WITHOUT_FLUSH lock -DTHREADS=2 -DROUNDS=2 -DRSEQ
# CONTENDED is set before the bucket is locked: another trusts a bit whose barrier is to come.
mutant BIT_BEFORE_BUCKET lock -DTHREADS=3 -DRSEQ
# A release without ordering: the plain store, on a processor that reorders stores; the
# compare-and-swap.
mutant STORES_REORDERED lock -DTHREADS=2 -DROUNDS=2 -DRSEQ
mutant RELEASE_RELAXED lock -DTHREADS=2 -DROUNDS=2
# Who acquires, is handed the lock, releases or times out wipes the bits out that tell of others.
mutant RELOCK_WITHOUT_BITS lock -DTHREADS=3
mutant HAND_OVER_DROPS_BITS lock -DTHREADS=3
mutant RELEASE_FORGETS_OTHERS lock -DTHREADS=3
mutant LEFT_FORGETS_OTHERS lock -DTHREADS=3
# A woken waiter parks again, and releases go on relying on it.
mutant WAKING_STAYS lock -DTHREADS=2 -DROUNDS=2
# park: the condition is looked at before the bucket is locked; the sleeper overwrites its wake.
mutant PARK_LOOKS_EARLY lock -DTHREADS=2 -DROUNDS=2
mutant SLEEP_STORES lock -DTHREADS=2 -DROUNDS=2

# --- the condition --------------------------------------------------------------------------------

check condition -DRSEQ
check condition -DALL
# A waiter releases its lock before it queues.
mutant RELEASE_BEFORE_QUEUE condition
# Waiters are moved to a lock whose release does not know of them, or that nobody holds.
mutant MOVE_WITHOUT_BITS condition -DALL
mutant MOVE_NOT_HELD condition -DALL
# A timeout takes back a wait that was moved, which is a notification lost.
mutant TIMEOUT_TAKES_MOVED condition
# The word says that nobody waits while somebody does.
mutant TIMEOUT_CLEARS_WORD condition
mutant NOTIFY_FORGETS_OTHERS condition

# --- the read-write lock --------------------------------------------------------------------------

check rwlock -DREADERS=2 -DIMPATIENT=7
check rwlock -DREADERS=1 -DIMPATIENT=7
check rwlock -DREADERS=2 -DMEET -DBEGINS=2 -DIMPATIENT=0
check rwlock -DREADERS=2 -DMEET -DBEGINS=0
check rwlock -DREADERS=2 -DIMPATIENT=0
# A release wakes a single reader where all may go.
mutant WAKE_ONE_READER rwlock -DREADERS=2 -DMEET -DBEGINS=2 -DIMPATIENT=0
# A writer that gives up leaves those asleep that it kept out.
mutant WRITER_LEAVES_SILENTLY rwlock -DREADERS=2 -DMEET -DBEGINS=0
# A writer is handed the lock though a reader has come in meanwhile.
mutant NO_TAKE_BACK rwlock -DREADERS=2
# A release that leaves the lock free does not look at the line; forgets who stays in it; is not
# ordered.
mutant NO_SECOND_LOOK rwlock -DREADERS=2 -DIMPATIENT=0
mutant READER_LEAVES_SILENTLY rwlock -DREADERS=1
mutant TURN_FORGETS_OTHERS rwlock -DREADERS=1
mutant RELEASE_RELAXED rwlock -DREADERS=1
mutant PARK_LOOKS_EARLY rwlock -DREADERS=1
# The bias.
check rwlock -DBIAS -DREADERS=1 -DIMPATIENT=0
check rwlock -DBIAS -DREADERS=2 -DIMPATIENT=7
# A writer trusts what it sees in the slots: without a barrier, with one that leaves sequences that
# have begun alone, or with one that leaves store buffers alone.
mutant NO_BARRIER rwlock -DBIAS -DREADERS=1 -DIMPATIENT=0
mutant BARRIER_WITHOUT_ABORT rwlock -DBIAS -DREADERS=1 -DIMPATIENT=0
mutant BARRIER_WITHOUT_FLUSH rwlock -DBIAS -DREADERS=1 -DIMPATIENT=0
# The lock looks free to another writer while readers are still being counted; a reader that leaves
# finds itself neither in its slot nor in the count; one leaves its slot after it was counted.
mutant UNBIASED_BEFORE_COUNTING rwlock -DBIAS -DREADERS=1 -DIMPATIENT=0
mutant COUNTS_AFTER_EMPTYING rwlock -DBIAS -DREADERS=1 -DIMPATIENT=0
mutant LEAVES_BY_STORE rwlock -DBIAS -DREADERS=1 -DIMPATIENT=0

# --- the barrier ----------------------------------------------------------------------------------

check barrier -DWAITS=3
check barrier -DACTION
check barrier -DACTION -DDISTURBANCES=0
check barrier -DPARTIES=3 -DWAITS=1 -DDISTURBANCES=0
# The count is reset after the new round has begun.
mutant RESETS_LATE barrier
# A party times out while the action runs; a round passes though it failed meanwhile.
mutant TIMES_OUT_WHILE_FULL barrier -DACTION -DDISTURBANCES=0
mutant ACTION_FORGETS_FAILURE barrier -DACTION
# One is woken where all may go; those who wait for the end of a reset are not.
mutant WAKE_ONE barrier -DPARTIES=3 -DWAITS=1 -DDISTURBANCES=0
mutant LEAVES_SILENTLY barrier -DWAITS=3
mutant PARK_LOOKS_EARLY barrier

echo "$failures failures"
[ "$failures" -eq 0 ]
