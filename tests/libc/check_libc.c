/* libc cannot tell the library's threads from its own: many at once, thousands in sequence on
 * recycled TLS, and hundreds in the resolver.
 *
 * The sequence is long because what it looks for comes from far back: a TCB that is recycled brings
 * along whatever its last thread left behind, and each thread's probes leave as much as they can.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <netdb.h>

#include "crew.h"
#include "probes.h"
#include "sanitizer.h"
#include "scale.h"

#include "../thread/suite.h"

SANITIZER_IGNORE_LEAKS

#define ck_assert_recorded() ck_assert_msg(!record_failure(), "%s", record_failure())

enum { AT_ONCE = 32 };

/* --- all probes ------------------------------------------------------------------------------- */

static atomic_int arrived;

static void *meet_and_probe(void *arg)
{
    atomic_fetch_add(&arrived, 1);
    await(atomic_load(&arrived) >= AT_ONCE);
    probes_run(crew_number(arg));
    return NULL;
}

START_TEST(many_threads_at_once_find_libc_in_order)
{
    probes_prepare();
    crew_run(AT_ONCE, meet_and_probe);
    probes_finish();
    ck_assert_recorded();
}
END_TEST

static void *probe(void *arg)
{
    probes_run(crew_number(arg));
    return NULL;
}

START_TEST(thousands_of_threads_in_sequence_find_libc_in_order)
{
    probes_prepare();
    crew_run_in_sequence(scaled(3000), probe);
    probes_finish();
    ck_assert_recorded();
}
END_TEST

static atomic_int next_number;

/* Keeps on starting threads, so that TCBs go from one starter's threads to the other's. */
static void *start_probing_threads(void *arg)
{
    (void)arg;
    for (;;) {
        int number = atomic_fetch_add(&next_number, 1);
        if (number >= scaled(500))
            return NULL;
        fx_thread *thread = fx_thread_spawn(probe, (void *)(intptr_t)number);
        if (!expect(thread != NULL))
            return NULL;
        expect_int(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), ==, 0);
        fx_thread_unref(thread);
    }
}

START_TEST(threads_that_start_and_end_at_once_find_libc_in_order)
{
    probes_prepare();
    crew_run(6, start_probing_threads);
    probes_finish();
    ck_assert_recorded();
}
END_TEST

/* --- each probe alone, against itself --------------------------------------------------------- */

static const struct probe *chosen;

static void *repeat_chosen_probe(void *arg)
{
    int rounds = chosen->once ? 1 : 5;
    atomic_fetch_add(&arrived, 1);
    await(atomic_load(&arrived) >= AT_ONCE);
    for (int i = 0; i < rounds; i++)
        chosen->run(crew_number(arg) + AT_ONCE * i);
    return NULL;
}

START_TEST(many_threads_at_once_pass_each_probe)
{
    chosen = &probes[_i];
    probes_prepare();
    crew_run(AT_ONCE, repeat_chosen_probe);
    probes_finish();
    ck_assert_msg(!record_failure(), "%s: %s", chosen->name, record_failure());
}
END_TEST

/* A pthread passes them too: what they expect is what libc gives its own threads. */
static void *probe_as_pthread(void *arg)
{
    return probe(arg);
}

START_TEST(an_ordinary_pthread_passes_every_probe)
{
    pthread_t thread;
    probes_prepare();
    ck_assert_int_eq(pthread_create(&thread, NULL, probe_as_pthread, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    probes_finish();
    ck_assert_recorded();
}
END_TEST

/* --- identity --------------------------------------------------------------------------------- */

static pthread_t selves[AT_ONCE];
static int *errnos[AT_ONCE];
static long tids[AT_ONCE];

static void *show_identity(void *arg)
{
    int number = crew_number(arg);
    selves[number] = pthread_self();
    errnos[number] = &errno;
    tids[number] = syscall(SYS_gettid);
    atomic_fetch_add(&arrived, 1);
    await(atomic_load(&arrived) == AT_ONCE);
    return NULL;
}

START_TEST(threads_alive_at_once_differ_in_self_and_errno)
{
    crew_run(AT_ONCE, show_identity);
    ck_assert_recorded();
    for (int i = 0; i < AT_ONCE; i++) {
        ck_assert(!pthread_equal(selves[i], pthread_self()));
        ck_assert_ptr_ne(errnos[i], &errno);
        for (int j = 0; j < i; j++) {
            ck_assert(!pthread_equal(selves[i], selves[j]));
            ck_assert_ptr_ne(errnos[i], errnos[j]);
            ck_assert_int_ne(tids[i], tids[j]);
        }
    }
}
END_TEST

/* --- hundreds in the resolver ----------------------------------------------------------------- */

static atomic_bool gate;

static void *look_up(void *arg)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *list = NULL;
    char address[32];
    snprintf(address, sizeof address, "10.0.%d.7", crew_number(arg) % 250);
    atomic_fetch_add(&arrived, 1);
    await(atomic_load(&gate));
    errno = 500 + crew_number(arg);
    if (expect_int(getaddrinfo(address, NULL, &hints, &list), ==, 0))
        freeaddrinfo(list);
    expect_int(getaddrinfo("not an address", NULL, &hints, &list), ==, EAI_NONAME);
    hints.ai_flags = 0;
    if (getaddrinfo("localhost", NULL, &hints, &list) == 0)
        freeaddrinfo(list);
    errno = 500 + crew_number(arg);
    await_pause();
    expect_int(errno, ==, 500 + crew_number(arg));
    return NULL;
}

START_TEST(hundreds_of_threads_resolve_at_once)
{
    struct crew crew;
    int n = scaled(320);
    crew_start(&crew, n, look_up);
    await(atomic_load(&arrived) == n || record_failure());
    atomic_store(&gate, true);
    crew_join(&crew);
    ck_assert_recorded();
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, an_ordinary_pthread_passes_every_probe);
    tcase_add_loop_test(tests, many_threads_at_once_pass_each_probe, 0, probe_count);
    tcase_add_test(tests, many_threads_at_once_find_libc_in_order);
    tcase_add_test(tests, thousands_of_threads_in_sequence_find_libc_in_order);
    tcase_add_test(tests, threads_that_start_and_end_at_once_find_libc_in_order);
    tcase_add_test(tests, threads_alive_at_once_differ_in_self_and_errno);
    tcase_add_test(tests, hundreds_of_threads_resolve_at_once);
}

int main(void)
{
    return THREADS_ARE_PTHREADS ? TEST_SKIPPED : run_suite("libc in the library's threads", add_tests);
}
