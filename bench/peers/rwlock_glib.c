#include <glib.h>

#include "bench/peers/rwlock.h"

static GRWLock lock;

static void reads(long n)
{
    for (long i = 0; i < n; i++) {
        g_rw_lock_reader_lock(&lock);
        g_rw_lock_reader_unlock(&lock);
    }
}

static void writes(long n)
{
    for (long i = 0; i < n; i++) {
        g_rw_lock_writer_lock(&lock);
        g_rw_lock_writer_unlock(&lock);
    }
}

const struct bench_rwlock_peer bench_rwlock_glib = {
    .peer = { "glib", "GRWLock, which stands on pthread" },
    .reads = reads,
    .writes = writes,
};
