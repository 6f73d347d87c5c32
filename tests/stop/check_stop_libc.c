/* A stop reaches a thread that is in libc: in a call that blocks, and in calls that are made all
 * the time. libc is whole afterwards: its streams are unlocked, its heap is in order, and a call
 * that the stop interrupted has told of EINTR and of nothing else.
 *
 * A call that blocks is repeated when it was interrupted: the stop comes when it has returned. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../thread/suite.h"
#include "victim.h"

/* What any other thread can do afterwards. */
static void *use_libc(void *arg)
{
    void *blocks[64];
    for (size_t i = 0; i < 64; i++) {
        blocks[i] = malloc(16 << i % 12);
        expect(blocks[i] != NULL);
    }
    for (size_t i = 0; i < 64; i++)
        free(blocks[i]);
    FILE *null = fopen("/dev/null", "we");
    expect(null && fprintf(null, "%s %d", "x", 1) == 3);
    if (null)
        expect_int(fclose(null), ==, 0);
    return arg;
}

static void libc_is_whole(void)
{
    fx_thread *user = fx_thread_spawn(use_libc, NULL);
    ck_assert_ptr_nonnull(user);
    ck_assert_int_eq(fx_thread_join_for(user, FX_SEC(await_limit()), NULL), 0);
    use_libc(NULL);
    ck_assert_msg(!record_failure(), "%s", record_failure());
    fx_thread_unref(user);
}

/* --- calls that block --- */

static int fds[2];

static void in_libcs_sleep(void)
{
    for (;;) {
        victim_is_there();
        expect_int(sleep(1000), >, 0);
    }
}

START_TEST(libcs_sleep_is_stopped)
{
    stop_asleep_in(in_libcs_sleep);
    libc_is_whole();
}
END_TEST

static void in_read(void)
{
    char byte;
    for (;;) {
        victim_is_there();
        expect(read(fds[0], &byte, 1) == -1 && errno == EINTR);
    }
}

START_TEST(a_read_from_a_pipe_is_stopped)
{
    ck_assert_int_eq(pipe(fds), 0);
    stop_asleep_in(in_read);
    libc_is_whole();
}
END_TEST

static void in_poll(void)
{
    struct pollfd in = { .fd = fds[0], .events = POLLIN };
    for (;;) {
        victim_is_there();
        expect(poll(&in, 1, -1) == -1 && errno == EINTR);
    }
}

START_TEST(a_poll_is_stopped)
{
    ck_assert_int_eq(pipe(fds), 0);
    stop_asleep_in(in_poll);
    libc_is_whole();
}
END_TEST

static void in_accept(void)
{
    for (;;) {
        victim_is_there();
        expect(accept(fds[0], NULL, NULL) == -1 && errno == EINTR);
    }
}

START_TEST(an_accept_is_stopped)
{
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fds[0], 0);
    ck_assert_int_eq(bind(fds[0], (struct sockaddr *)&any, sizeof any), 0);
    ck_assert_int_eq(listen(fds[0], 1), 0);
    stop_asleep_in(in_accept);
    libc_is_whole();
}
END_TEST

static void in_fgets(void)
{
    FILE *in = fdopen(fds[0], "r");
    char line[80];
    for (;;) {
        victim_is_there();
        if (!fgets(line, sizeof line, in))
            expect_int(errno, ==, EINTR);
        clearerr(in);
    }
}

START_TEST(a_stream_that_reads_is_stopped)
{
    ck_assert_int_eq(pipe(fds), 0);
    stop_asleep_in(in_fgets);
    libc_is_whole();
}
END_TEST

/* --- calls that return --- */

static void mallocs(void)
{
    unsigned n = 1;
    void *held[16] = { NULL };
    for (;;) {
        victim_is_there();
        n = n * 1103515245 + 12345;
        free(held[n >> 16 & 15]);
        held[n >> 16 & 15] = malloc(n >> 20 & 4095);
    }
}

START_TEST(a_loop_of_malloc_and_free_is_stopped)
{
    stop_in(mallocs);
    libc_is_whole();
}
END_TEST

static FILE *stream;

static void prints(void)
{
    for (int i = 0;; i++) {
        victim_is_there();
        expect(fprintf(stream, "%d %s %f\n", i, "text", i * 0.5) > 0);
    }
}

START_TEST(a_loop_of_printf_is_stopped_and_leaves_the_stream_unlocked)
{
    stream = fopen("/dev/null", "we");
    ck_assert_ptr_nonnull(stream);
    for (int i = 0; i < scaled(24); i++) {
        victim_start(prints);
        await(victim_turns() > 2);
        pass_a_moment();
        victim_stop();
        ck_assert_int_eq(ftrylockfile(stream), 0);
        funlockfile(stream);
        ck_assert_int_eq(fprintf(stream, "main\n"), 5);
        ck_assert(!ferror(stream));
    }
    fclose(stream);
    libc_is_whole();
}
END_TEST

static int compare(const void *one, const void *other)
{
    victim_is_there();
    void *block = malloc(100);
    int less = *(const int *)one < *(const int *)other;
    memset(block, less, 100);
    free(block);
    return less ? -1 : *(const int *)one > *(const int *)other;
}

static void sorts(void)
{
    static int numbers[3000]; /* so many that qsort itself allocates, too */
    for (unsigned n = 1;;) {
        for (size_t i = 0; i < 3000; i++)
            numbers[i] = (int)((n = n * 1103515245 + 12345) >> 1);
        qsort(numbers, 3000, sizeof *numbers, compare);
    }
}

START_TEST(qsort_with_a_callback_that_mallocs_is_stopped)
{
    stop_in(sorts);
    libc_is_whole();
}
END_TEST

static int cancelled, rest_of_callback;

static int sleep_in_callback(const void *one, const void *other)
{
    victim_is_there();
    int rc = fx_sleep(FX_SEC(3600));
    expect_int(rc, ==, -ECANCELED);
    cancelled += rc == -ECANCELED;
    rest_of_callback++;
    return one < other ? -1 : one > other;
}

static void sleeps_in_qsort(void)
{
    int numbers[] = { 3, 2, 1 };
    qsort(numbers, 3, sizeof *numbers, sleep_in_callback);
    cancelled = -1000; /* not reached: the stop is raised by the return */
}

START_TEST(a_stop_point_in_a_callback_of_libc_returns_ecanceled)
{
    int rounds = scaled(24);
    for (int i = 0; i < rounds; i++) {
        cancelled = rest_of_callback = 0;
        victim_start(sleeps_in_qsort);
        await(victim_turns() == 1);
        if (i % 2)
            await(is_asleep(fx_thread_native_id(victim.thread)));
        victim_stop();
        ck_assert_int_ge(cancelled, 2); /* each of the comparisons of three numbers */
        ck_assert_int_eq(cancelled, rest_of_callback);
    }
}
END_TEST

static void clears_64_mib(void)
{
    static char *memory;
    if (!memory)
        memory = malloc(64 << 20);
    for (int i = 0;; i++) {
        victim_is_there();
        memset(memory, i, 64 << 20);
    }
}

START_TEST(memset_of_64_mib_is_stopped)
{
    stop_rounds_in(clears_64_mib, scaled(6), 2, false);
    libc_is_whole();
}
END_TEST

static void looks_up(void)
{
    struct addrinfo *found, hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
    for (;;) {
        victim_is_there();
        if (getaddrinfo("localhost", "80", &hints, &found) == 0)
            freeaddrinfo(found);
    }
}

START_TEST(getaddrinfo_is_stopped)
{
    stop_in(looks_up);
    libc_is_whole();
    struct addrinfo *found = NULL;
    if (getaddrinfo("localhost", NULL, NULL, &found) == 0)
        freeaddrinfo(found);
}
END_TEST

static void opens_streams(void)
{
    for (;;) {
        victim_is_there();
        FILE *file = fopen("/dev/null", "re");
        if (expect(file != NULL))
            fclose(file);
    }
}

START_TEST(fopen_and_fclose_are_stopped)
{
    stop_in(opens_streams);
    libc_is_whole();
}
END_TEST

static void opens_modules(void)
{
    for (;;) {
        victim_is_there();
        void *module = dlopen(TEST_BUILDDIR "/tests/stop/.libs/module_loop.so", RTLD_NOW);
        if (expect(module != NULL))
            expect_int(dlclose(module), ==, 0);
    }
}

START_TEST(dlopen_and_dlclose_are_stopped)
{
    stop_in(opens_modules);
    libc_is_whole();
    void *module = dlopen(TEST_BUILDDIR "/tests/stop/.libs/module_loop.so", RTLD_NOW);
    ck_assert_ptr_nonnull(module);
    dlclose(module);
}
END_TEST

static int look_at_object(struct dl_phdr_info *info, size_t size, void *objects)
{
    (void)info;
    (void)size;
    victim_is_there();
    for (volatile int i = 0; i < 2000; i++)
        ;
    ++*(int *)objects;
    return 0;
}

static void walks_objects(void)
{
    for (;;) {
        int objects = 0;
        dl_iterate_phdr(look_at_object, &objects);
    }
}

START_TEST(a_callback_of_dl_iterate_phdr_is_stopped_and_the_loaders_lock_is_free)
{
    stop_in(walks_objects);
    int objects = 0;
    dl_iterate_phdr(look_at_object, &objects);
    ck_assert_int_gt(objects, 1);
    libc_is_whole();
}
END_TEST

/* A lock in FX_WITH is acquired there in spite of the stop: to give up would be to raise, out of
 * libc's function. */
static fx_lock lock;
static int acquired;

static int lock_in_callback(const void *one, const void *other)
{
    victim_is_there();
    FX_WITH(&lock)
        acquired++;
    return one < other ? -1 : one > other;
}

static void locks_in_qsort(void)
{
    int numbers[] = { 3, 2, 1 };
    qsort(numbers, 3, sizeof *numbers, lock_in_callback);
    acquired = -1000;
}

START_TEST(a_lock_in_with_in_a_callback_of_libc_is_waited_for)
{
    for (int i = 0; i < scaled(24); i++) {
        acquired = 0;
        fx_lock_acquire(&lock);
        victim_start(locks_in_qsort);
        await(victim_turns() == 1);
        if (i % 2)
            await(is_asleep(fx_thread_native_id(victim.thread)));
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        for (int j = 0; j < 3; j++)
            await_pause();
        ck_assert(fx_thread_is_alive(victim.thread));
        ck_assert_int_eq(fx_lock_release(&lock), 0);
        victim_ends_by(FX_STOPPED);
        ck_assert_int_ge(acquired, 2);
        ck_assert(!fx_lock_locked(&lock));
    }
}
END_TEST

/* A stop that finds a scope inside of a callback does not end libc's call by it. */
static int finally_in_callback;

static int scope_in_callback(const void *one, const void *other)
{
    FX_TRY {
        victim_is_there();
        for (volatile int i = 0; i < 3000; i++)
            ;
    } FX_FINALLY {
        finally_in_callback++;
    } FX_END
    return one < other ? -1 : one > other;
}

static void scopes_in_qsort(void)
{
    for (;;) {
        int numbers[] = { 7, 6, 5, 4, 3, 2, 1 };
        qsort(numbers, 7, sizeof *numbers, scope_in_callback);
    }
}

START_TEST(a_scope_in_a_callback_of_libc_is_left_in_the_usual_way)
{
    for (int i = 0; i < scaled(24); i++) {
        finally_in_callback = 0;
        victim_start(scopes_in_qsort);
        await(victim_turns() > 5);
        pass_a_moment();
        victim_stop();
        ck_assert_int_eq(finally_in_callback, victim_turns());
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, libcs_sleep_is_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, a_read_from_a_pipe_is_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, a_poll_is_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, an_accept_is_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, a_stream_that_reads_is_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, a_loop_of_malloc_and_free_is_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests,
           a_loop_of_printf_is_stopped_and_leaves_the_stream_unlocked);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, qsort_with_a_callback_that_mallocs_is_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, a_stop_point_in_a_callback_of_libc_returns_ecanceled);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, a_lock_in_with_in_a_callback_of_libc_is_waited_for);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, memset_of_64_mib_is_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, getaddrinfo_is_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, fopen_and_fclose_are_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, dlopen_and_dlclose_are_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests,
           a_callback_of_dl_iterate_phdr_is_stopped_and_the_loaders_lock_is_free);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, a_scope_in_a_callback_of_libc_is_left_in_the_usual_way);
}

int main(void)
{
    return run_suite("stop_libc", add_tests);
}
