/* A program whose first thread is one of the library's, and which never calls pthread_create: libc
 * goes without locks until it has seen a second thread, so that the first one of ours is the one to
 * meet malloc unlocked.
 *
 * A plain program, because a test framework might have started threads, or forked, before. The
 * scenarios run in forked children that have not had a thread, each first of all there, the last
 * but one in the program itself; its exit code is 0 when all passed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include "child.h"
#include "crew.h"
#include "sanitizer.h"
#include "scale.h"

static atomic_bool finished;
static atomic_int running;

/* A block that names its holder on every byte: one that two were given at once is noticed. */
static unsigned char *make_block(size_t size, unsigned char holder)
{
    unsigned char *block = malloc(size);
    if (!block)
        abort();
    memset(block, holder, size);
    return block;
}

static void end_block(unsigned char *block, size_t size, unsigned char holder)
{
    size_t wrong = 0;
    for (size_t i = 0; i < size; i++)
        wrong += block[i] != holder;
    expect_int(wrong, ==, 0);
    free(block);
}

/* Allocates as long as the other side does, at sizes that both share an arena for. */
static void use_malloc(unsigned char holder, int rounds)
{
    enum { HELD = 24 };
    unsigned char *held[HELD] = {NULL};
    size_t sizes[HELD] = {0};
    unsigned dice = holder;
    for (int i = 0; i < rounds; i++) {
        dice = dice * 1664525u + 1013904223u;
        int slot = (dice >> 8) % HELD;
        if (held[slot])
            end_block(held[slot], sizes[slot], holder);
        sizes[slot] = 1 + (dice >> 12) % 4000;
        held[slot] = make_block(sizes[slot], holder);
    }
    for (int slot = 0; slot < HELD; slot++)
        if (held[slot])
            end_block(held[slot], sizes[slot], holder);
}

static void *use_malloc_in_thread(void *arg)
{
    expect(!__libc_single_threaded);
    atomic_fetch_add(&running, 1);
    while (!atomic_load(&finished))
        use_malloc((unsigned char)(10 + crew_number(arg)), 200);
    return NULL;
}

/* Main is in malloc all the time: before the threads are there, while they come, and after. */
static void use_malloc_beside(int threads)
{
    struct crew crew = {.n = 0};
    use_malloc(1, 300);
    for (int i = 0; i < threads; i++) {
        crew.threads[crew.n++] = fx_thread_spawn(use_malloc_in_thread, (void *)(intptr_t)i);
        expect(crew.threads[i] != NULL);
        use_malloc(1, 300);
    }
    expect(!__libc_single_threaded);
    double end = await_now() + await_limit();
    for (int i = 0; i < scaled(100) || atomic_load(&running) < threads; i++) {
        use_malloc(1, 300);
        if (record_failure() || await_now() > end)
            break;
    }
    expect_int(atomic_load(&running), ==, threads);
    atomic_store(&finished, true);
    crew_join(&crew);
    atomic_store(&finished, false);
    atomic_store(&running, 0);
}

static int one_thread(void)
{
    use_malloc_beside(1);
    return record_status();
}

static int four_threads(void)
{
    use_malloc_beside(4);
    return record_status();
}

/* The heap that main filled before the first thread comes over to the arenas of all. */
static void *free_blocks(void *blocks)
{
    for (int i = 0; i < 1000; i++)
        end_block(((unsigned char **)blocks)[i], 40, 1);
    return NULL;
}

static int blocks_of_before(void)
{
    unsigned char *blocks[1000];
    for (int i = 0; i < 1000; i++)
        blocks[i] = make_block(40, 1);
    fx_thread *thread = fx_thread_spawn(free_blocks, blocks);
    if (expect(thread != NULL)) {
        use_malloc(1, 1000);
        expect_int(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), ==, 0);
        fx_thread_unref(thread);
    }
    return record_status();
}

/* Streams, too, have locks that libc leaves out while there is one thread. */
static FILE *stream;

static void *print_lines(void *arg)
{
    atomic_fetch_add(&running, 1);
    while (!atomic_load(&finished))
        if (fprintf(stream, "a line of thread %d\n", crew_number(arg)) < 0)
            break;
    return NULL;
}

static int one_stream(void)
{
    struct crew crew;
    char text[64];
    stream = tmpfile();
    if (!expect(stream != NULL))
        return record_status();
    fprintf(stream, "a line of thread 0\n");
    crew_start(&crew, 2, print_lines);
    for (int i = 0; i < scaled(5000); i++)
        fprintf(stream, "a line of thread 9\n");
    await(atomic_load(&running) == 2 || record_failure());
    atomic_store(&finished, true);
    crew_join(&crew);
    rewind(stream);
    while (fgets(text, sizeof text, stream))
        expect(strncmp(text, "a line of thread ", 17) == 0 && strlen(text) == 19);
    fclose(stream);
    return record_status();
}

/* A child of a process that had no threads has its own first thread; and its child again. */
static int first_thread_two_forks_down(void)
{
    expect_int(child_run(one_thread), ==, 0);
    use_malloc_beside(1);
    expect_int(child_run(one_thread), ==, 0);
    return record_status();
}

static void *fork_in_thread(void *arg)
{
    expect_int(child_run(one_thread), ==, 0);
    return arg;
}

static int child_of_the_first_thread(void)
{
    crew_run(1, fork_in_thread);
    return record_status();
}

static int run(const char *name, int code)
{
    if (code != 0)
        fprintf(stderr, "%s: %d\n", name, code);
    return code != 0;
}

int main(void)
{
    int failed = 0;
    if (THREADS_ARE_PTHREADS)
        return TEST_SKIPPED;
    for (int i = 0; i < scaled(10); i++)
        failed += run("one thread", child_run(one_thread));
    failed += run("four threads", child_run(four_threads));
    failed += run("blocks of before", child_run(blocks_of_before));
    failed += run("one stream", child_run(one_stream));
    failed += run("first thread two forks down", child_run(first_thread_two_forks_down));
    failed += run("child of the first thread", child_run(child_of_the_first_thread));
    failed += run("in the program itself", one_thread());
    failed += run("in its child, afterwards", child_run(four_threads));
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
