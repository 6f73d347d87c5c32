/* fx_barrier: a round ends for all its parties in the same way, nobody passes before all have
 * arrived and the action has returned, it runs once a round, and nobody sleeps who may go on.
 *
 * PARTIES threads wait WAITS times each, whatever comes of it. The first of them may time out in
 * any of its waits. One more thread aborts or resets, DISTURBANCES times. ACTION: the barrier has
 * one, which may raise.
 *
 * Here it is right that some sleep at the end: for parties that have gone, or have failed. So when
 * all is at rest a watcher looks at who sleeps: each one's condition must still say so, and those
 * that have arrived must be as many as the word counts. */

#ifndef PARTIES
#define PARTIES 2
#endif
#ifndef WAITS
#define WAITS 2
#endif
#ifndef DISTURBANCES
#define DISTURBANCES 1
#endif
#ifdef ACTION
#define has_action true
#else
#define has_action false
#endif

#define THREADS PARTIES
#define ADDRESSES 1
#define BARRIER 0

inline flush_own()
{
    skip
}

#include "park.pml"

/* As in the code, but for the number of bits; rounds are counted modulo 16, which is enough as
 * there are fewer. */
#define PARKED 1
#define BROKEN 2
#define FULL 4
#define RESETTING 8
#define FAILED (BROKEN | RESETTING)
#define ONE_ARRIVED 16
#define ONE_ROUND 256

#define arrived_of(s) (((s) % ONE_ROUND) / ONE_ARRIVED)
#define round_of(s) ((s) / ONE_ROUND)
#define next_round(s) (((s) / ONE_ROUND + 1) % 16 * ONE_ROUND)

short state; /* barrier->state */

/* What is true of a round, in the models' eyes. A reset while nobody is in the barrier begins a
 * new one, too, with the same number. */
#define ROUNDS 8
byte current;
byte arrivals[ROUNDS], passed[ROUNDS], failed[ROUNDS], actions[ROUNDS];
bit counted[THREADS]; /* the thread has arrived, and has not left */

/* struct awaited of each thread. */
byte round[THREADS], until_any[THREADS], while_any[THREADS];

#define goes_on(t, s) \
    (round_of(s) == round[t] && ((s) & until_any[t]) == 0 && \
     (while_any[t] == 0 || ((s) & while_any[t]) != 0))

/* replace; the value that was there is left in `replaced`. */
#define replace(expected, desired) \
    d_step { \
        if \
        :: state == (expected) -> \
           replaced = state; \
           state = (desired); \
           ok = 1; \
           if \
           :: round_of(state) != round_of(replaced) -> current++ \
           :: else \
           fi \
        :: else -> expected = state; ok = 0 \
        fi \
    }

inline wake_parked()
{
    if
    :: replaced & PARKED -> /* fxi_unpark of all */
       lock_bucket(BARRIER);
       do
       :: waiting_at[BARRIER] > 0 ->
          chosen = chosen | (1 << first_at(BARRIER));
          dequeue_first(BARRIER);
#ifdef WAKE_ONE
          break
#endif
       :: else -> break
       od;
       unlock_bucket(BARRIER);
       t = 0;
       do
       :: t < THREADS ->
          if
          :: chosen & (1 << t) -> wake(t)
          :: else
          fi;
          t++
       :: else -> break
       od;
       t = 0
    :: else
    fi;
    chosen = 0
}

/* must_wait; ok: it does. */
inline must_wait()
{
    s = state;
    do
    :: !goes_on(id, s) -> ok = 0; break
    :: goes_on(id, s) && (s & PARKED) -> ok = 1; break
    :: else ->
       replace(s, s | PARKED);
       if
       :: ok -> break
       :: else
       fi
    od
}

/* await; late: it timed out. */
inline await(may_be_late)
{
    late = 0;
    do
    :: s = state;
       if
       :: !goes_on(id, s) || late -> break
       :: else
       fi;
       prepare_to_wait();
#ifdef PARK_LOOKS_EARLY
       must_wait();
       lock_bucket(BARRIER);
#else
       lock_bucket(BARRIER);
       must_wait();
#endif
       if
       :: ok ->
          enqueue(BARRIER, id, 0);
          unlock_bucket(BARRIER);
          sleep_until_woken(may_be_late, late);
          if
          :: late -> /* leave_queue */
             lock_bucket(BARRIER);
             if
             :: address[id] == BARRIER -> dequeue_thread(BARRIER, id); unlock_bucket(BARRIER)
             :: else -> unlock_bucket(BARRIER); sleep_until_woken(0, late)
             fi
          :: else
          fi
       :: else -> unlock_bucket(BARRIER)
       fi
    od;
    ok = 0
}

/* leave: one of a round that failed. `also` is FULL or 0. */
inline leave(also)
{
    s = state;
    do
    :: next = (s & ~also) - ONE_ARRIVED;
       if
       :: arrived_of(next) == 0 && (next & RESETTING) -> next = next_round(s)
       :: else
       fi;
       replace(s, next);
       if
       :: ok -> counted[id] = 0; break
       :: else
       fi
    od;
#ifndef LEAVES_SILENTLY
    if
    :: round_of(next) != round_of(replaced) -> wake_parked()
    :: else
    fi
#endif
}

inline it_passes()
{
    d_step {
        assert(arrivals[mine] == PARTIES && failed[mine] == 0 && actions[mine] == has_action);
        passed[mine]++;
        counted[id] = 0
    }
}

inline it_fails()
{
    d_step {
        assert(passed[mine] == 0);
        failed[mine]++
    }
}

/* wait_for_others */
inline wait_for_others()
{
    d_step { until_any[id] = FAILED; while_any[id] = 0 }
    await(id == 0);
    s = state;
    do
    :: round_of(s) != round[id] -> it_passes(); break
    :: round_of(s) == round[id] && (s & FAILED) -> it_fails(); leave(0); break
#ifndef TIMES_OUT_WHILE_FULL
    :: round_of(s) == round[id] && !(s & FAILED) && (s & FULL) ->
       await(0);
       s = state
    :: round_of(s) == round[id] && !(s & FAILED) && !(s & FULL) ->
#else
    :: round_of(s) == round[id] && !(s & FAILED) ->
#endif
       replace(s, (s | BROKEN) - ONE_ARRIVED);
       if
       :: ok -> counted[id] = 0; it_fails(); wake_parked(); break
       :: else
       fi
    od
}

/* run_action, with break_full */
inline run_action()
{
    actions[mine]++;
    if
    :: true -> /* it raises */
       s = state;
       do
       :: true ->
          replace(s, ((s & RESETTING) -> s : s | BROKEN));
          if
          :: ok -> break
          :: else
          fi
       od;
       wake_parked();
       it_fails();
       leave(FULL)
    :: true ->
       s = state;
       do
#ifndef ACTION_FORGETS_FAILURE
       :: s & FAILED ->
          assert(DISTURBANCES > 0); /* nobody times out during the action */
          it_fails();
          leave(FULL);
          break
#endif
       :: else ->
          replace(s, next_round(s));
          if
          :: ok -> it_passes(); wake_parked(); break
          :: else
          fi
       od
    fi
}

/* fx_barrier_wait_until */
proctype party(byte id)
{
    byte t, i, old, chosen, waits, mine;
    short s, next, replaced;
    bit ok, late;

    do
    :: waits < WAITS ->
       waits++;
       s = state;
       do
       :: s & BROKEN -> ok = 0; break /* -EPIPE */
       :: !(s & BROKEN) && (s & (FULL | RESETTING)) ->
          d_step {
              round[id] = round_of(s);
              until_any[id] = BROKEN;
              while_any[id] = FULL | RESETTING
          }
          await(id == 0);
          if
          :: late && goes_on(id, s) -> ok = 0; break /* -ETIMEDOUT */
          :: else -> s = state
          fi
       :: else ->
          next = s + ONE_ARRIVED;
          if
          :: arrived_of(s) == PARTIES - 1 ->
             if
             :: has_action -> next = next | FULL
#ifdef RESETS_LATE
             :: else -> next = next_round(s) + arrived_of(next) * ONE_ARRIVED
#else
             :: else -> next = next_round(s)
#endif
             fi
          :: else
          fi;
          atomic { /* and what the model knows of it */
              mine = current;
              replace(s, next);
              if
              :: ok ->
                 arrivals[mine]++;
                 counted[id] = 1;
                 round[id] = round_of(s)
              :: else -> mine = 0
              fi
          }
          if
          :: ok -> break
          :: else
          fi
       od;
       if
       :: !ok
       :: ok && (next & FULL) -> run_action()
       :: ok && round_of(next) != round_of(s) ->
          it_passes();
          wake_parked();
#ifdef RESETS_LATE
          state = next_round(replaced) | (state & PARKED)
#endif
       :: else -> wait_for_others()
       fi;
       s = 0;
       d_step { next = 0; replaced = 0; ok = 0; late = 0; mine = 0 }
    :: else -> break
    od
}

/* fx_barrier_abort and fx_barrier_reset, by somebody who is no party. */
active proctype disturber()
{
    byte id = THREADS, t, old, i, chosen, n;
    short s, next, replaced;
    bit ok;

    do
    :: n < DISTURBANCES ->
       n++;
       s = state;
       if
       :: do
          :: true ->
             replace(s, (s | BROKEN) & ~RESETTING);
             if
             :: ok -> break
             :: else
             fi
          od
       :: do
          :: if
             :: arrived_of(s) == 0 -> next = round_of(s) * ONE_ROUND
             :: else -> next = (s | RESETTING) & ~BROKEN
             fi;
             atomic {
                 replace(s, next);
                 if
                 :: ok && arrived_of(s) == 0 -> current++ /* whoever arrives next is of a new one */
                 :: else
                 fi
             }
             if
             :: ok -> break
             :: else
             fi
          od
       fi;
       wake_parked();
       d_step { s = 0; next = 0; replaced = 0; ok = 0 }
    :: else -> break
    od
}

/* At rest. */
proctype watcher()
{
    byte t, in_round;

    timeout;
    do
    :: t < THREADS ->
       assert(!in_futex[t] || goes_on(t, state));
       in_round = in_round + counted[t];
       t++
    :: else -> break
    od;
    assert(in_round == arrived_of(state));
    assert(!bucket_held[BARRIER])
}

init
{
    byte n;
    atomic {
        do
        :: n < THREADS -> address[n] = NOWHERE; run party(n); n++
        :: else -> break
        od;
        run watcher()
    }
}
