/* fx_lock: mutual exclusion, what a holder did is seen by the next, no wake is lost, and who is
 * handed the lock has it.
 *
 * THREADS threads enter a section ROUNDS times each. The first IMPATIENT of them may time out.
 * FOREIGN: what the first one acquired another thread releases, while that one may be on its way to
 * the lock again. A lost wake ends where somebody sleeps and nothing can happen, which
 * is an invalid end state. */

#ifndef THREADS
#define THREADS 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef IMPATIENT
#define IMPATIENT 1
#endif
#define ADDRESSES 1
#define LOCK 0

#include "park.pml"
#include "lock_steps.pml"

byte inside;   /* threads in the section */
bit sections;  /* how many sections there were, modulo 2: what the data should be */
bit posted;    /* the first thread's hold is to be released by the other */
byte finished;

/* In the section: nobody else is, and the data is what the last one left. */
inline section()
{
    d_step { inside++; assert(inside == 1) }
    assert((data_buffered[id] -> data_value[id] : data) == sections);
    d_step {
        sections = 1 - sections;
        data_buffered[id] = 1;
        data_value[id] = sections
    }
    inside--
}

proctype thread(byte id)
{
    LOCK_VARIABLES;
    byte round;

    do
    :: round < ROUNDS ->
       round++;
       acquire_parking(LOCK, id < IMPATIENT);
       if
       :: rc == 0 ->
          section();
#ifdef FOREIGN
          if
          :: id == 0 -> atomic { !posted -> flush_own(); posted = 1 } goto released
          :: else
          fi;
#endif
          is_given_up();
          if
          :: ok
          :: else -> release_slow(LOCK)
          fi;
released:
          ok = 0
       :: else -> rc = 0
       fi
    :: else -> break
    od;
    finished++
}

#ifdef FOREIGN
/* Releases what it did not acquire. */
active proctype releaser()
{
    LOCK_VARIABLES;
    byte id = THREADS;

end:
    do
    :: posted ->
       posted = 0;
       release_slow(LOCK)
    od
}
#endif

init
{
    byte n;
    atomic {
        do
        :: n < THREADS -> address[n] = NOWHERE; run memory(n); run thread(n); n++
        :: else -> break
        od
    }
    /* At the end the lock is free and nobody is thought to be on the way to it. */
    finished == THREADS && !posted && !bucket_held[LOCK];
    n = 0;
    do
    :: n < THREADS -> !word_buffered[n]; n++
    :: else -> break
    od;
#ifndef FOREIGN
    assert(is_free(word) && !(word & WAKING) && waiting_at[LOCK] == 0)
#endif
}
