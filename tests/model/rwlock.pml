/* fx_rwlock: writers are alone, readers see what the last one wrote, no wake is lost, whoever is
 * handed the lock has it, and a turn of readers is one of all readers in the line.
 *
 * Of three threads the first READERS read and the rest write, ROUNDS times each. Those whose bit is
 * in IMPATIENT may time out. BEGINS: a thread that has the lock at the start. MEET: a reader stays
 * in its section until all readers have been there, so that readers who are let in one by one, or
 * who are kept out after the writer before them has given up, end in an invalid end state.
 *
 * BIAS: the lock is biased at the start and readers may bias it again. A store to a slot stays in the
 *   store buffer of its processor until `memory` writes it out, a locked instruction of the same
 *   thread does, or the barrier of another one.
 *
 * What depends on the time (whether the oldest of the line has starved) or on how often the lock was
 * read is a free choice. */

#define THREADS 3
#ifndef READERS
#define READERS 2
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef IMPATIENT
#define IMPATIENT 4
#endif
#ifndef BEGINS
#define BEGINS NOWHERE
#endif
#define ADDRESSES 1
#define LINE 0

#define WRITTEN 1
#define PARKED 2
#define BIASED 4
#define READER 8
#define READERS_MASK 120
#define BITS 7

#define GIVEN_WOKEN 1
#define GIVEN_HANDED 2

byte word;            /* rwlock->word */
byte readers_inside, writers_inside;
bit data, data_buffered[THREADS], data_value[THREADS]; /* as in lock_steps.pml */
bit sections;
byte met;             /* readers that have been inside */
byte finished;

bit slot[THREADS], slot_buffered[THREADS], slot_value[THREADS];
bit in_section[THREADS]; /* between the labels 1 and 2 in fx_rwlock_slot_is_changed_ */
bit aborted[THREADS];    /* and will go on at label 4 */

#define reads(t) ((t) < READERS)
#define seen_slot(t) (slot_buffered[t] -> slot_value[t] : slot[t])

#define write_out_data(t) \
    if \
    :: data_buffered[t] -> data = data_value[t]; data_buffered[t] = 0; data_value[t] = 0 \
    :: else \
    fi

#ifdef BIAS
#define write_out_slot(t) \
    if \
    :: slot_buffered[t] -> slot[t] = slot_value[t]; slot_buffered[t] = 0; slot_value[t] = 0 \
    :: else \
    fi
#else
#define write_out_slot(t) skip
#endif
#define write_out(t) write_out_data(t); write_out_slot(t)

inline flush_own()
{
    write_out(id)
}

#include "park.pml"

proctype memory(byte t)
{
end:
    do
    :: d_step { data_buffered[t] -> write_out_data(t) }
#ifdef BIAS
    :: d_step { slot_buffered[t] -> write_out_slot(t) }
#endif
    od
}

#define compare_and_store(expected, desired) \
    if \
    :: word == (expected) -> word = (desired); ok = 1 \
    :: else -> expected = word; ok = 0 \
    fi
#define cas(expected, desired) d_step { write_out(id); compare_and_store(expected, desired) }
#ifdef RELEASE_RELAXED
#define cas_release(expected, desired) d_step { compare_and_store(expected, desired) }
#else
#define cas_release(expected, desired) cas(expected, desired)
#endif

#ifdef BIAS
/* fxi_membarrier_rseq: see lock_steps.pml */
inline membarrier()
{
    t = 0;
    do
    :: t < THREADS ->
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

/* revoke, with the bucket's lock held; the word is left in w. */
inline revoke()
{
    w = word;
    do
    :: w & BIASED ->
#ifdef UNBIASED_BEFORE_COUNTING
       cas(w, w & ~BIASED);
#else
       cas(w, w | PARKED);
#endif
       if
       :: ok -> break
       :: else
       fi
    :: else -> ok = 0; break
    od;
    if
    :: ok ->
#ifndef NO_BARRIER
       membarrier();
#endif
       t = 0;
       do
       :: t < READERS ->
          if
          :: slot[t] ->
#ifdef COUNTS_AFTER_EMPTYING
             atomic { ok = slot[t]; slot[t] = 0 };
             word = (ok -> word + READER : word);
#else
             word = word + READER;
             d_step {
                 if
                 :: slot[t] -> slot[t] = 0
                 :: else -> word = word - READER
                 fi
             }
#endif
          :: else
          fi;
          t++
       :: else -> t = 0; break
       od;
       ok = 0;
       d_step { word = word & ~(BIASED | PARKED); w = word }
    :: else
    fi
}

/* revoke_bias */
inline revoke_bias()
{
    lock_bucket(LINE);
    revoke();
    unlock_bucket(LINE)
}

/* fx_rwlock_slot_is_changed_; ok: it is. */
inline change_slot(was, becomes)
{
    ok = 0;
    in_section[id] = 1;                       /* the descriptor is stored, label 1 */
    atomic {
        if
        :: aborted[id]                        /* by a barrier */
        :: !aborted[id] -> in_section[id] = 0 /* by a signal, or a preemption */
        :: !aborted[id] -> ok = (word == BIASED && seen_slot(id) == was)
        fi
    }
    atomic {
        if
        :: aborted[id] -> ok = 0
        :: else ->
           if
           :: ok ->
              write_out_slot(id); /* the buffer here has one place */
              slot_buffered[id] = 1;
              slot_value[id] = becomes
           :: else
           fi
        fi;
        in_section[id] = 0; /* label 2, or label 4 */
        aborted[id] = 0
    }
}

/* note_reads, by one that is counted */
inline note_reads()
{
    w = word;
    do
    :: !(w & BITS) ->
       cas_release(w, w | BIASED);
       if
       :: ok -> break
       :: else
       fi
    :: true -> break
    od;
    w = 0;
    ok = 0
}
#endif

/* pass_on(own), with choose and take_turn */
inline pass_on(own)
{
    do
    :: lock_bucket(LINE);
       do /* choose, for whoever stands at `place` */
       :: place < waiting_at[LINE] ->
          t = line[place];
          if
          :: !looked ->
             looked = 1;
             w = word;
             if /* may_begin */
             :: own == WRITTEN || (own == READER && (w & READERS_MASK) == READER) ||
                (own == 0 && !(w & WRITTEN) && reads(t)) ->
                of_readers = reads(t);
                if
                :: own != 0 -> handed = 1
                :: handed = 0
                fi;
                let_in()
             :: else -> break
             fi
          :: looked && of_readers && reads(t) ->
#ifdef WAKE_ONE_READER
             break
#else
             let_in()
#endif
          :: looked && !(of_readers && reads(t)) ->
             if
             :: of_readers && own != 0 -> place++
             :: else -> break
             fi
          fi
       :: else -> break
       od;
       w = word;
       do /* take_turn */
       :: if
#ifndef NO_TAKE_BACK
          :: writer != NOWHERE && own == READER && (w & READERS_MASK) != READER ->
             given[writer] = GIVEN_WOKEN; /* take_back */
             writer = NOWHERE;
             some_woken = 1
#endif
          :: else
          fi;
          next = (w & ~PARKED) - own + let_in_readers * READER + (writer != NOWHERE -> WRITTEN : 0);
#ifndef NO_SECOND_LOOK
          again = own != 0 && next == 0 && waiting_at[LINE] > 0 && !some_woken;
#endif
          if
          :: again -> break
          :: else ->
#ifdef TURN_FORGETS_OTHERS
             cas_release(w, next);
#else
             cas_release(w, next | (waiting_at[LINE] > 0 -> PARKED : 0));
#endif
             if
             :: ok -> break
             :: else
             fi
          fi
       od;
       unlock_bucket(LINE);
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
       t = 0;
       d_step {
           place = 0; looked = 0; of_readers = 0; handed = 0; let_in_readers = 0;
           writer = NOWHERE; some_woken = 0; chosen = 0; w = 0; next = 0; ok = 0
       }
       if
       :: again -> again = 0
       :: else -> break
       fi
    od
}

/* let_in, and unpark's taking it off the queue. */
inline let_in()
{
    d_step {
        if
        :: !handed -> some_woken = 1
        :: handed && of_readers -> let_in_readers++
        :: else -> writer = t
        fi;
        given[t] = (handed -> GIVEN_HANDED : GIVEN_WOKEN);
        chosen = chosen | (1 << t);
        i = place;
        close_gap(LINE)
    }
}

/* admits, which fx_rwlock_try_acquire_* is a narrower form of; whether it does, in ok. */
inline admits()
{
    if
    :: !reads(id) -> ok = !(w & ~PARKED)
    :: reads(id) && (w & WRITTEN) -> ok = 0
    :: reads(id) && !(w & WRITTEN) -> ok = 1
    :: reads(id) && (w & PARKED) && !was_woken -> ok = 0 /* is_unfair */
    fi
}

/* try_acquire; spinning is a later first try. */
inline try_acquire()
{
    w = word;
    do
    :: admits();
       if
       :: ok ->
          cas(w, (reads(id) -> w + READER : w | WRITTEN));
          if
          :: ok -> break
          :: else
          fi
       :: else -> break
       fi
    od
}

/* must_wait; ok: it does. */
inline must_wait()
{
    w = word;
    do
    ::
#ifdef BIAS
       if
       :: w & BIASED -> revoke()
       :: else
       fi;
#endif
       admits();
       if
       :: ok -> ok = 0; break
       :: !ok && (w & PARKED) -> ok = 1; break
       :: else ->
          cas(w, w | PARKED);
          if
          :: ok -> break
          :: else
          fi
       fi
    od
}

/* acquire_slowly; `rc`: 0, or 1 where it timed out. */
inline acquire()
{
    rc = 0;
    do
    ::
#ifdef BIAS
       if
       :: !reads(id) && (word & BIASED) -> revoke_bias()
       :: else
       fi;
#endif
       try_acquire();
       if
       :: ok -> break
       :: else
       fi;
       prepare_to_wait();
#ifdef PARK_LOOKS_EARLY
       must_wait();
       lock_bucket(LINE);
#else
       lock_bucket(LINE);
       must_wait();
#endif
       if
       :: ok ->
          enqueue(LINE, id, was_woken);
          unlock_bucket(LINE);
          sleep_until_woken(((IMPATIENT >> id) & 1), late);
          if
          :: late -> /* leave_queue, left */
             lock_bucket(LINE);
             if
             :: address[id] == LINE ->
                dequeue_thread(LINE, id);
                word = (waiting_at[LINE] > 0 -> word : word & ~PARKED);
                rc = 1
             :: else
             fi;
             unlock_bucket(LINE);
             if
             :: rc == 1 ->
#ifndef WRITER_LEAVES_SILENTLY
                if
                :: !reads(id) -> pass_on(0)
                :: else
                fi;
#endif
                break
             :: else -> sleep_until_woken(0, late)
             fi
          :: else
          fi;
          if
          :: given[id] == GIVEN_HANDED ->
             assert(reads(id) -> (word >= READER && !(word & WRITTEN)) : (word & WRITTEN));
             break
          :: else -> was_woken = 1
          fi
       :: else -> unlock_bucket(LINE)
       fi
    od;
    late = 0;
    d_step { was_woken = 0; w = 0; ok = 0 }
}

/* What leaves a slot; whether it did, in ok. */
inline leave_slot()
{
#ifdef BIAS
    change_slot(1, 0);
    if
    :: ok
    :: else ->
#ifdef LEAVES_BY_STORE
       ok = seen_slot(id);
       d_step {
           if
           :: ok -> write_out(id); slot[id] = 0
           :: else
           fi
       }
#else
       d_step { write_out(id); ok = slot[id]; slot[id] = 0 }
#endif
    fi
#else
    ok = 0
#endif
}

/* fx_rwlock_release_read_slowly, but for its first look */
inline release_count()
{
    w = word;
    do
    :: assert(!(w & WRITTEN) && w >= READER); /* no -EPERM */
       if
#ifndef READER_LEAVES_SILENTLY
       :: (w & PARKED) && (w & READERS_MASK) == READER -> pass_on(READER); break
#endif
       :: else ->
          cas_release(w, w - READER);
          if
          :: ok -> break
          :: else
          fi
       fi
    od;
    w = 0;
    ok = 0
}

inline release_read()
{
    leave_slot();
    if
    :: ok -> ok = 0
    :: else -> release_count()
    fi
}

/* fx_rwlock_acquire_read and _write */
inline enter()
{
#ifdef BIAS
    if
    :: reads(id) -> change_slot(0, 1)
    :: else
    fi;
    if
    :: ok -> ok = 0
    :: else ->
       acquire();
       if
       :: reads(id) && rc == 0 -> note_reads()
       :: else
       fi
    fi
#else
    acquire()
#endif
}

/* fx_rwlock_release_write */
inline release_write()
{
    w = WRITTEN;
    cas_release(w, 0);
    if
    :: ok
    :: else -> pass_on(WRITTEN)
    fi;
    w = 0;
    ok = 0
}

inline section()
{
    if
    :: reads(id) ->
       d_step { readers_inside++; assert(writers_inside == 0) }
       assert(data == sections);
#ifdef MEET
       met++;
       met >= READERS;
#endif
       readers_inside--;
       release_read()
    :: else ->
       d_step { writers_inside++; assert(writers_inside == 1 && readers_inside == 0) }
       assert((data_buffered[id] -> data_value[id] : data) == sections);
       d_step { sections = 1 - sections; data_buffered[id] = 1; data_value[id] = sections }
       writers_inside--;
       release_write()
    fi
}

proctype thread(byte id)
{
    byte w, next, t, i, old, round, place, let_in_readers, chosen, writer = NOWHERE;
    bit ok, was_woken, late, rc, looked, of_readers, handed, some_woken, again;

    do
    :: round < ROUNDS ->
       if
       :: id == BEGINS && round == 0
       :: else -> enter()
       fi;
       round++;
       if
       :: rc == 0 -> section()
       :: else -> rc = 0
       fi
    :: else -> break
    od;
    finished++
}

init
{
    byte n;
    atomic {
#ifdef BIAS
        word = BIASED;
#else
        word = (BEGINS == NOWHERE -> 0 : (reads(BEGINS) -> READER : WRITTEN));
#endif
        do
        :: n < THREADS ->
           address[n] = NOWHERE;
#ifdef BIAS
           run memory(n);
#else
           if
           :: !reads(n) -> run memory(n)
           :: else
           fi;
#endif
           run thread(n);
           n++
        :: else -> break
        od
    }
    finished == THREADS;
    n = 0;
    do
    :: n < THREADS -> assert(!seen_slot(n)); n++
    :: else -> break
    od;
    assert((word & ~BIASED) == 0 && waiting_at[LINE] == 0)
}
