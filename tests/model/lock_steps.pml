/* lib/sync/lock.c and the inline functions of include/fxthread/lock.h, step by step, for lock.pml
 * and condition.pml to include after park.pml.
 *
 * RSEQ: the release in the header is the restartable sequence, and its plain store stays in the
 *   store buffer of its processor until `memory` writes it out, a locked instruction of the same
 *   thread does, or the barrier of another one. Without RSEQ it is the compare-and-swap.
 * The counting of calm releases, and all that depends on the time (who starved, whether a release
 *   looks for them), are free choices here, so what holds does so for every timing and tuning.
 *   Spinning is a later first try.
 *
 * Mutants: see run.sh. Each #ifdef but RSEQ is one. */

#define NUMBER 7
#define PARKED 8
#define WAKING 16
#define CONTENDED 32

#define GIVEN_WOKEN 1
#define GIVEN_HANDED 2

byte word;                      /* lock->word, in memory */
bit word_buffered[THREADS + 1]; /* the store of 0 by the release in the header, not yet there */
bit data;                       /* what the lock protects, in memory: sections so far, modulo 2 */
bit data_buffered[THREADS + 1], data_value[THREADS + 1];
bit in_section[THREADS + 1];    /* between the labels 1 and 2 in fx_lock_is_given_up_ */
bit aborted[THREADS + 1];       /* and will go on at label 4 */

#define is_free(w) (((w) & NUMBER) == 0)
#define me (id + 1)

/* A store buffer is written out in the order of its stores. */
#define write_out_data(t) \
    if \
    :: data_buffered[t] -> data = data_value[t]; data_buffered[t] = 0; data_value[t] = 0 \
    :: else \
    fi
#define write_out_word(t) \
    if \
    :: word_buffered[t] -> word = 0; word_buffered[t] = 0 \
    :: else \
    fi
#define write_out(t) write_out_data(t); write_out_word(t)

inline flush_own()
{
    write_out(id)
}

/* What the processor of thread t does with its buffer, at any time. */
proctype memory(byte t)
{
end:
    do
    :: d_step { data_buffered[t] -> write_out_data(t) }
#ifdef STORES_REORDERED
    :: d_step { word_buffered[t] -> write_out_word(t) }
#else
    :: d_step { word_buffered[t] && !data_buffered[t] -> write_out_word(t) }
#endif
    od
}

/* A load: a thread sees its own buffer first. */
#define seen(t) (word_buffered[t] -> 0 : word)

/* A compare-and-swap, a locked instruction. On a processor whose compare-and-swaps order nothing by
 * themselves, all that the order "release" promises is that the data is written out before. */
#define cas(expected, desired) \
    d_step { write_out(id); compare_and_store(expected, desired) }

#ifdef RELEASE_RELAXED
#define cas_release(expected, desired) \
    d_step { write_out_word(id); compare_and_store(expected, desired) }
#else
#define cas_release(expected, desired) cas(expected, desired)
#endif

#define compare_and_store(expected, desired) \
    if \
    :: word == (expected) -> word = (desired); ok = 1 \
    :: else -> expected = word; ok = 0 \
    fi

/* fxi_membarrier_rseq: each other processor is interrupted at some moment during the call. A thread
 * in a sequence then goes on at its abort label, and the interrupt writes the buffer out. */
inline membarrier()
{
    t = 0;
    do
    :: t < THREADS + 1 ->
       d_step {
           if
           :: t != id ->
#ifndef BARRIER_WITHOUT_ABORT
              if
              :: in_section[t] -> in_section[t] = 0; aborted[t] = 1
              :: else
              fi;
#endif
#ifndef BARRIER_WITHOUT_FLUSH
              write_out(t)
#endif
           :: else
           fi;
           t++
       }
    :: else -> t = 0; break
    od
}

/* set_contended; the word is left in w. */
inline set_contended()
{
    w = word;
    do
    :: !is_free(w) && !(w & CONTENDED) ->
       cas(w, w | CONTENDED);
       if
       :: ok ->
#if defined RSEQ && !defined NO_BARRIER
          membarrier();
#endif
          w = word
       :: else
       fi
    :: else -> break
    od
}

/* fx_lock_is_taken_, fx_lock_try_acquire_slow and try_acquire, which differ in speed. */
inline try_acquire()
{
    w = seen(id);
    do
    :: is_free(w) ->
#ifdef RELOCK_WITHOUT_BITS
       cas(w, me);
#else
       cas(w, (was_woken -> w & ~WAKING : w) | me);
#endif
       if
       :: ok -> break
       :: else
       fi
    :: else -> ok = 0; break
    od
}

/* is_held_and_told; ok: whether to wait. */
inline is_held_and_told()
{
    set_contended();
    ok = 0;
    do
    :: !is_free(w) ->
#ifdef WAKING_STAYS
       cas(w, w | PARKED);
#else
       cas(w, (w | PARKED) & ~(was_woken -> WAKING : 0));
#endif
       if
       :: ok -> break
       :: !ok && !(w & CONTENDED) -> set_contended(); ok = 0
       :: else
       fi
    :: else -> ok = 0; break
    od
}

/* acquire_parking; `rc`: 0, or 1 where it timed out. */
inline acquire_parking(a, may_be_late)
{
    rc = 0;
    do
    :: try_acquire();
       if
       :: ok -> break
       :: else
       fi;
#ifdef BIT_BEFORE_BUCKET
       set_contended();
#endif
       prepare_to_wait();
#ifdef PARK_LOOKS_EARLY
       is_held_and_told();
       lock_bucket(a);
#else
       lock_bucket(a);
       is_held_and_told();
#endif
       if
       :: ok ->
          enqueue(a, id, was_woken);
          unlock_bucket(a);
          sleep_until_woken(may_be_late, late);
          if
          :: late -> /* leave_queue */
             lock_bucket(a);
             if
             :: address[id] == a ->
                dequeue_thread(a, id);
#ifdef LEFT_FORGETS_OTHERS
                word = word & ~PARKED;
#else
                d_step { /* left_queue */
                    if
                    :: waiting_at[a] == 0 -> word = word & ~PARKED
                    :: else
                    fi
                }
#endif
                rc = 1
             :: else
             fi;
             unlock_bucket(a);
             if
             :: rc == 1 -> late = 0; break
             :: else -> sleep_until_woken(0, late)
             fi
          :: else
          fi;
          if
          :: given[id] == GIVEN_HANDED -> assert((word & NUMBER) == me); break
          :: else -> was_woken = 1
          fi
       :: else -> unlock_bucket(a) /* -EAGAIN */
       fi
    od;
    was_woken = 0;
    d_step { w = 0; ok = 0; late = 0 }
}

/* release_under_bucket */
inline release_under_bucket(a)
{
    lock_bucket(a);
    heir = NOWHERE;
    handed = 0;
    wakes = 0;
    if
    :: waiting_at[a] > 0 -> /* choose_one, for the first; STOP for the second */
       heir = first_at(a);
       set_contended();
       assert(!is_free(w)); /* look: no -EPERM */
       if
       :: true -> /* it is starved, and this release looks for such: hand_over */
          do
          :: !is_free(w) ->
#ifdef HAND_OVER_DROPS_BITS
             cas_release(w, heir + 1);
#else
             cas_release(w, (w & ~NUMBER) | (heir + 1));
#endif
             if
             :: ok -> handed = 1; break
             :: else
             fi
          :: else -> break
          od
       :: true
       fi;
       wakes = !handed && (w & (PARKED | WAKING)) == PARKED;
       if
       :: handed || wakes ->
          given[heir] = (handed -> GIVEN_HANDED : GIVEN_WOKEN);
          dequeue_first(a)
       :: else -> heir = NOWHERE
       fi
    :: else -> set_contended()
    fi;
    if /* finish_release */
    :: handed ->
       d_step {
           if
           :: waiting_at[a] == 0 -> word = word & ~PARKED
           :: else
           fi
       }
    :: else ->
       w = word;
       do
       :: assert(!is_free(w));
#ifdef RELEASE_FORGETS_OTHERS
          cas_release(w, CONTENDED | (w & WAKING) | (wakes -> WAKING : 0));
#else
          cas_release(w, CONTENDED | (w & WAKING) | (waiting_at[a] > 0 -> PARKED : 0) |
                             (wakes -> WAKING : 0));
#endif
          if
          :: ok -> break
          :: else
          fi
       od
    fi;
    unlock_bucket(a);
    if
    :: heir != NOWHERE -> wake(heir)
    :: else
    fi;
    d_step { heir = NOWHERE; handed = 0; wakes = 0; w = 0; ok = 0 }
}

/* fx_lock_release_slow */
inline release_slow(a)
{
    w = seen(id);
    do
    :: assert(!is_free(w)); /* no -EPERM */
       if
       :: (w & NUMBER) != me || (w & (PARKED | WAKING)) == PARKED ->
          release_under_bucket(a);
          break
       :: (w & (PARKED | WAKING)) == (PARKED | WAKING) -> /* must_look, now and then */
          release_under_bucket(a);
          break
       :: (w & NUMBER) == me && (w & (PARKED | WAKING)) != PARKED -> /* without_holder */
          next = w & ~NUMBER;
          if
          :: next == CONTENDED -> next = 0 /* after many releases without contention */
          :: true
          fi;
          cas_release(w, next);
          if
          :: ok -> break
          :: else
          fi
       fi
    od;
    w = 0;
    d_step { ok = 0; next = 0 }
}

/* fx_lock_is_given_up_: ok, or the slow release is needed. */
inline is_given_up()
{
#ifdef RSEQ
    ok = 0;
    in_section[id] = 1;                 /* the descriptor is stored, label 1 */
    atomic {
        if
        :: aborted[id]                  /* by a barrier */
        :: !aborted[id] -> in_section[id] = 0 /* by a signal, or a preemption */
        :: !aborted[id] -> ok = (seen(id) == me) /* cmpl */
        fi
    }
    atomic {
        if
        :: aborted[id] -> ok = 0
        :: else ->
           if
           :: ok -> word_buffered[id] = 1 /* movl */
           :: else
           fi
        fi;
        in_section[id] = 0;             /* label 2, or label 4 */
        aborted[id] = 0
    }
#else
    w = me;
    cas_release(w, 0)
#endif
}

#define LOCK_VARIABLES \
    byte w, next, t, i, old, heir = NOWHERE; \
    bit ok, was_woken, late, rc, handed, wakes
