/* Many reads of files at a time: in line by many tasks, and by one task as futures. */
#include "io_kinds.h"

#include "../thread/suite.h"

enum { SIZE = 100000, BLOCK = 1000, MANY = 32, BLOCKS = SIZE / BLOCK };

struct reader {
    fx_executor *pool;
    int fd;
    int number;
};

/* How much of the block at that place there is in the file. */
static int64_t length_at(int place)
{
    return place < BLOCKS ? BLOCK : 0;
}

/* The last one is beyond the file's end. */
static int place_of(int reader, int i)
{
    return (reader * 7 + i * 13) % (BLOCKS + 1);
}

static void *read_places(void *arg)
{
    const struct reader *reader = arg;
    char buf[BLOCK];
    for (int i = 0; i < scaled(200); i++) {
        int place = place_of(reader->number, i);
        int64_t length = length_at(place);
        expect_int(fx_read(reader->fd, buf, BLOCK, (off_t)place * BLOCK), ==, length);
        expect(is_of_file(buf, (size_t)length, (size_t)place * BLOCK));
    }
    return NULL;
}

START_TEST(each_of_many_tasks_reads_what_it_asked_for)
{
    fx_executor *pool = io_pool(_i, 1);
    struct reader readers[MANY];
    fx_future *tasks[MANY];
    int fd = io_file(SIZE);
    for (int i = 0; i < MANY; i++) {
        readers[i] = (struct reader){ pool, fd, i };
        tasks[i] = submit(pool, read_places, &readers[i]);
    }
    ck_assert_int_eq(fx_wait(tasks, MANY, FX_SEC(await_limit()), FX_ALL_COMPLETED, NULL), 0);
    fx_future_unref_all(tasks, MANY);
    end_pool(pool);
    close(fd);
}
END_TEST

static fx_future *begin(const struct reader *reader, char *buf, int i)
{
    return fx_async_read(reader->pool, reader->fd, buf, BLOCK,
                         (off_t)place_of(reader->number, i) * BLOCK);
}

static void expect_read(const struct reader *reader, fx_future *future, const char *buf, int i)
{
    int place = place_of(reader->number, i);
    int64_t length = length_at(place);
    expect_int(fx_future_io(future), ==, length);
    expect(is_of_file(buf, (size_t)length, (size_t)place * BLOCK));
    fx_future_unref(future);
}

/* Keeps `depth` of them under way. */
static void read_with_depth(const struct reader *reader, int depth)
{
    fx_future *futures[MANY];
    char bufs[MANY][BLOCK];
    int n = scaled(200);
    for (int i = 0; i < n + depth; i++) {
        int which = i % depth;
        if (i >= depth)
            expect_read(reader, futures[which], bufs[which], i - depth);
        if (i < n)
            futures[which] = begin(reader, bufs[which], i);
    }
}

/* In turn, so that each depth comes after each. */
static void *read_with_all_depths(void *arg)
{
    static const int depths[] = { 1, MANY, 2, 9, 1, 3, MANY, 9, 2, 3, 1 };
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++)
        read_with_depth(arg, depths[i]);
    return NULL;
}

START_TEST(futures_bring_what_was_asked_for_however_many_there_are)
{
    fx_executor *pool = io_pool(_i, 1);
    struct reader reader = { pool, io_file(SIZE), 1 };
    run_in(pool, read_with_all_depths, &reader);
    end_pool(pool);
    close(reader.fd);
}
END_TEST

static void compute_for(fx_nsec time)
{
    fx_deadline end = fx_deadline_after(time);
    while (fx_now() < end)
        ;
}

/* Though it has always waited at once until then. */
static void *read_ahead_of_a_computation(void *arg)
{
    char buf[BLOCK];
    read_with_depth(arg, MANY);
    for (int i = 1; i < 4; i++) {
        fx_future *ahead = begin(arg, buf, i);
        compute_for(FX_MSEC(1));
        expect_read(arg, ahead, buf, i);
    }
    memset(buf, 0xff, sizeof buf); /* such a byte is not in the file */
    fx_future *ahead = begin(arg, buf, 4);
    fx_deadline limit = fx_deadline_after(FX_SEC(await_limit()));
    while (*(volatile unsigned char *)&buf[BLOCK - 1] == 0xff && fx_now() < limit)
        ;
    expect(is_of_file(buf, BLOCK, (size_t)place_of(1, 4) * BLOCK));
    expect_read(arg, ahead, buf, 4);
    return NULL;
}

START_TEST(a_task_that_computes_reads_ahead_meanwhile)
{
    fx_executor *pool = io_pool(_i, 1);
    struct reader reader = { pool, io_file(SIZE), 1 };
    run_in(pool, read_ahead_of_a_computation, &reader);
    end_pool(pool);
    close(reader.fd);
}
END_TEST

static char kept[MANY][BLOCK];

static void *begin_and_leave(void *arg)
{
    read_with_depth(arg, MANY);
    for (int i = 0; i < MANY; i++)
        fx_future_unref(begin(arg, kept[i], i));
    return NULL;
}

START_TEST(reads_whose_task_ends_without_waiting_are_done)
{
    fx_executor *pool = io_pool(_i, 1);
    struct reader reader = { pool, io_file(SIZE), 1 };
    run_in(pool, begin_and_leave, &reader);
    end_pool(pool);
    for (int i = 0; i < MANY; i++) {
        int place = place_of(1, i);
        ck_assert(is_of_file(kept[i], (size_t)length_at(place), (size_t)place * BLOCK));
    }
    close(reader.fd);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, each_of_many_tasks_reads_what_it_asked_for, 0, IO_BACKENDS);
    tcase_add_loop_test(tests, futures_bring_what_was_asked_for_however_many_there_are, 0,
                        IO_BACKENDS);
    tcase_add_loop_test(tests, a_task_that_computes_reads_ahead_meanwhile, 0, IO_BACKENDS);
    tcase_add_loop_test(tests, reads_whose_task_ends_without_waiting_are_done, 0, IO_BACKENDS);
}

int main(void)
{
    return run_suite("io_many", add_tests);
}
