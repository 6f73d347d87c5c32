/* fx_condition with an fx_lock: no notification is lost, moved, woken or met by a timeout, and
 * whoever returns from a wait holds the lock.
 *
 * Thread 0 waits once, may time out, and passes a notification on that it got; thread 1 waits until
 * it is told `ready`; thread 2 tells so, and notifies one, with the lock held or without. So thread
 * 1 must come back, else it sleeps in an invalid end state. ALL: thread 0 does as thread 1, and
 * thread 2 notifies all. */

#define THREADS 3
#define ADDRESSES 2
#define CONDITION 0
#define LOCK 1

#include "park.pml"
#include "lock_steps.pml"

#ifdef ALL
#define COUNT THREADS
#else
#define COUNT 1
#endif

bit names_lock; /* condition->word: 0, or the address of the lock */
bit ready;
byte inside;    /* threads that have the lock, by their own account */
byte finished;

inline acquire()
{
    acquire_parking(LOCK, 0);
    d_step { inside++; assert(inside == 1) }
}

inline release()
{
    inside--;
    is_given_up();
    if
    :: ok
    :: else -> release_slow(LOCK)
    fi;
    ok = 0
}

/* try_enqueue, with announce */
inline queue_at_condition()
{
    lock_bucket(CONDITION);
    names_lock = 1;
    enqueue(CONDITION, id, 0);
    unlock_bucket(CONDITION)
}

/* lock_bucket_of and leave_queue; timed_out: it left. */
inline leave_condition()
{
    do
    :: at = address[id];
       if
       :: at == NOWHERE -> break /* chosen */
       :: else ->
          lock_bucket(at);
          if
          :: address[id] == at -> /* still */
             if
#ifdef TIMEOUT_TAKES_MOVED
             :: true ->
#else
             :: at == CONDITION ->
#endif
                dequeue_thread(at, id);
#ifdef TIMEOUT_CLEARS_WORD
                names_lock = 0;
#else
                names_lock = (waiting_at[CONDITION] > 0 -> names_lock : 0); /* left */
#endif
                timed_out = 1
             :: else /* moved */
             fi;
             unlock_bucket(at);
             break
          :: else -> unlock_bucket(at)
          fi
       fi
    od;
    at = 0
}

/* wait; timed_out: what it returns. */
inline wait(may_be_late)
{
    timed_out = 0;
    prepare_to_wait();
#ifdef RELEASE_BEFORE_QUEUE
    release();
    queue_at_condition();
#else
    queue_at_condition();
    release(); /* before_sleep */
#endif
    sleep_until_woken(may_be_late, late);
    if
    :: late ->
       leave_condition();
       if
       :: timed_out -> late = 0
       :: else -> sleep_until_woken(0, late)
       fi
    :: else
    fi;
    if /* fxi_lock_reacquire */
    :: given[id] == GIVEN_HANDED -> d_step { inside++; assert(inside == 1) }
    :: else -> was_woken = (given[id] == GIVEN_WOKEN); acquire()
    fi;
    assert((word & NUMBER) == me)
}

/* fxi_lock_expect_waiters */
inline expect_waiters()
{
    w = seen(id);
    ok = 0;
    do
#ifdef MOVE_NOT_HELD
    :: true ->
#else
    :: (w & NUMBER) == me ->
#endif
#ifdef MOVE_WITHOUT_BITS
       cas(w, w);
#else
       cas(w, w | CONTENDED | PARKED);
#endif
       if
       :: ok -> break
       :: else
       fi
#ifndef MOVE_NOT_HELD
    :: else -> ok = 0; break
#endif
    od
}

/* fx_condition_notify_slowly */
inline notify()
{
    if
    :: names_lock ->
       lock_bucket(CONDITION); /* fxi_park_move */
       lock_bucket(LOCK);
       moved = 0;
       if
       :: waiting_at[CONDITION] > 0 ->
          expect_waiters();
          do
          :: ok && moved < COUNT && waiting_at[CONDITION] > 0 ->
             heir = first_at(CONDITION);
             dequeue_first(CONDITION);
             enqueue(LOCK, heir, 0);
             moved++
          :: else -> break
          od
       :: else
       fi;
       heir = NOWHERE;
       unlock_bucket(CONDITION);
       unlock_bucket(LOCK);
       if
       :: moved < COUNT -> /* fxi_unpark_chosen */
          lock_bucket(CONDITION);
          left = (moved == 0 -> COUNT : 0);
          do
          :: left > 0 && waiting_at[CONDITION] > 0 ->
             chosen = chosen | (1 << first_at(CONDITION));
             dequeue_first(CONDITION);
             left--
          :: else -> break
          od;
#ifdef NOTIFY_FORGETS_OTHERS
          names_lock = 0;
#else
          names_lock = (waiting_at[CONDITION] > 0 -> names_lock : 0); /* note_remaining */
#endif
          unlock_bucket(CONDITION);
          t = 0;
          do
          :: t < THREADS ->
             if
             :: chosen & (1 << t) -> wake(t)
             :: else
             fi;
             t++
          :: else -> break
          od
       :: else
       fi;
       moved = 0;
       d_step { left = 0; chosen = 0; t = 0; w = 0; ok = 0 }
    :: else
    fi
}

#define CONDITION_VARIABLES \
    LOCK_VARIABLES; \
    byte at, moved, left, chosen; \
    bit timed_out

proctype waits_until_ready(byte id)
{
    CONDITION_VARIABLES;

    acquire();
    do
    :: !ready -> wait(0)
    :: else -> break
    od;
    release();
    finished++
}

proctype waits_once(byte id)
{
    CONDITION_VARIABLES;

    acquire();
    if
    :: !ready ->
       wait(1);
       if
       :: !timed_out -> notify()
       :: else
       fi
    :: else
    fi;
    release();
    finished++
}

proctype notifies(byte id)
{
    CONDITION_VARIABLES;
    bit has_notified;

    acquire();
    ready = 1;
    if
    :: notify(); has_notified = 1
    :: true
    fi;
    release();
    if
    :: !has_notified -> notify()
    :: else
    fi;
    finished++
}

init
{
    byte n;
    atomic {
        do
        :: n < THREADS ->
           address[n] = NOWHERE;
#ifdef RSEQ
           run memory(n);
#endif
           n++
        :: else -> break
        od;
#ifdef ALL
        run waits_until_ready(0);
#else
        run waits_once(0);
#endif
        run waits_until_ready(1);
        run notifies(2)
    }
    finished == THREADS;
    assert(waiting_at[CONDITION] == 0 && waiting_at[LOCK] == 0)
}
