/* In a wholly static program a stop waits for a stop point, and reaches those. libc is in the
 * program's text there and cannot be told from it, so nothing is stopped anywhere else. */
#include <fxthread.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "await.h"
#include "record.h"
#include "scale.h"

static int there, may_end, finally;
static fx_lock lock;
static fx_condition condition;
static fx_event event;

static void sleeps(void)
{
    fx_sleep(FX_SEC(3600));
}

static void waits(void)
{
    FX_WITH(&lock)
        fx_condition_wait(&condition, &lock);
}

static void waits_for_event(void)
{
    fx_event_wait(&event);
}

static int ends[2];

static void reads(void)
{
    char byte;
    fx_read(ends[0], &byte, 1, -1);
}

/* What is not to be cut off. */
static void loops_then_checks(void)
{
    while (!__atomic_load_n(&may_end, __ATOMIC_ACQUIRE)) {
        char *block = malloc(300);
        memset(block, 1, 300);
        free(block);
    }
    __atomic_store_n(&there, 2, __ATOMIC_RELEASE);
    fx_checkpoint();
}

static void *run(void *place)
{
    FX_TRY {
        __atomic_store_n(&there, 1, __ATOMIC_RELEASE);
        ((void (*)(void))place)();
        expect(false);
    } FX_FINALLY {
        finally++;
    } FX_END
    return place;
}

static void stop_in(void (*place)(void))
{
    there = may_end = finally = 0;
    fx_thread *t = fx_thread_spawn(run, (void *)(uintptr_t)place);
    if (!expect(t != NULL))
        return;
    await(__atomic_load_n(&there, __ATOMIC_ACQUIRE) == 1);
    expect_int(fx_thread_stop(t), ==, 0);
    if (place == loops_then_checks) {
        for (int i = 0; i < 10; i++)
            await_pause();
        expect(fx_thread_is_alive(t));
        __atomic_store_n(&may_end, 1, __ATOMIC_RELEASE);
    }
    expect_int(fx_thread_join_for(t, FX_SEC(await_limit()), NULL), ==, 0);
    expect_int(fx_thread_exception(t), ==, FX_STOPPED);
    expect_int(finally, ==, 1);
    expect_int(there, ==, place == loops_then_checks ? 2 : 1);
    expect(!fx_lock_locked(&lock));
    fx_thread_unref(t);
}

int main(void)
{
    expect_int(pipe(ends), ==, 0);
    for (int i = 0; i < scaled(50); i++) {
        stop_in(reads);
        stop_in(sleeps);
        stop_in(waits);
        stop_in(waits_for_event);
    }
    for (int i = 0; i < scaled(10); i++)
        stop_in(loops_then_checks);
    return record_status();
}
