/* lib/park: buckets, queues and sleeping, for the models to include. They define before that:
 *   THREADS    how many threads may wait; thread t is number t + 1
 *   ADDRESSES  how many addresses there are; each has a bucket of its own
 * and see to it that `id`, the running thread, is a variable or parameter of their processes.
 *
 * What a thread does to memory that only it, or the holder of a bucket's lock, can see is one step;
 * each look at a word that others change, and each change of it, is a step of its own.
 *
 * Mutants: PARK_LOOKS_EARLY, SLEEP_STORES, TIMEOUT_TAKES_MOVED. */

#define AWAKE 0
#define WOKEN 1
#define SLEEPING 2

#define NOWHERE 255

bit bucket_held[ADDRESSES];            /* bucket->lock */
byte line[ADDRESSES * THREADS];        /* bucket->queue: the threads at each address, in order */
byte waiting_at[ADDRESSES];            /* how many they are */
byte woken[THREADS];                   /* waiter->woken */
bit in_futex[THREADS];                 /* the kernel has it asleep on that */
byte given[THREADS];                   /* waiter->given */
byte address[THREADS];                 /* waiter->address; NOWHERE: not queued */

#define first_at(a) line[(a) * THREADS]

/* lock_bucket, unlock_bucket. The lock is taken with a locked instruction, which empties the store
 * buffer of the models that have one. */
inline lock_bucket(a)
{
    atomic { !bucket_held[a] -> bucket_held[a] = 1; flush_own() }
}

inline unlock_bucket(a)
{
    bucket_held[a] = 0
}

/* enqueue */
inline enqueue(a, t, at_front)
{
    d_step {
        i = waiting_at[a];
        do
        :: at_front && i > 0 -> line[(a) * THREADS + i] = line[(a) * THREADS + i - 1]; i--
        :: else -> break
        od;
        line[(a) * THREADS + i] = t;
        waiting_at[a]++;
        address[t] = a;
        i = 0
    }
}

/* dequeue, of whoever stands at place i */
inline close_gap(a)
{
    address[line[(a) * THREADS + i]] = NOWHERE;
    waiting_at[a]--;
    do
    :: i < waiting_at[a] -> line[(a) * THREADS + i] = line[(a) * THREADS + i + 1]; i++
    :: else -> break
    od;
    line[(a) * THREADS + i] = 0;
    i = 0
}

/* dequeue, of the first */
inline dequeue_first(a)
{
    d_step { i = 0; close_gap(a) }
}

/* dequeue, of thread t, which is in the queue */
inline dequeue_thread(a, t)
{
    d_step {
        i = 0;
        do
        :: line[(a) * THREADS + i] != t -> i++
        :: else -> break
        od;
        close_gap(a)
    }
}

/* The plain stores at the head of fxi_park_wait. */
inline prepare_to_wait()
{
    d_step { woken[id] = AWAKE; given[id] = 0 }
}

/* sleep_until_woken; `late`: the deadline came first. A spin before it is a later sleep. */
inline sleep_until_woken(may_be_late, late)
{
#ifdef SLEEP_STORES
    woken[id] = SLEEPING;
#else
    d_step {
        if
        :: woken[id] == AWAKE -> woken[id] = SLEEPING
        :: else
        fi
    }
#endif
    do
    :: woken[id] == WOKEN -> late = 0; break
    :: atomic { woken[id] == SLEEPING && !in_futex[id] -> in_futex[id] = 1 }
       if
       :: !in_futex[id]
       :: atomic { may_be_late && in_futex[id] -> in_futex[id] = 0; late = 1 } break
       fi
    od
}

/* wake_chosen, for one thread. */
inline wake(t)
{
    d_step { old = woken[t]; woken[t] = WOKEN }
    if
    :: old == SLEEPING -> in_futex[t] = 0 /* fxi_futex_wake */
    :: else
    fi;
    old = 0
}
