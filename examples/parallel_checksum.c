/* Checksums of files, many at a time: a task for each file, which reads it block by block with the
 * next block on its way while it sums the last one, and a line that tells how far it is.
 *
 *     parallel_checksum FILE...    prints the CRC-32 of each, as gzip and others have it
 *     parallel_checksum            tries itself out on files of its own, and prints something like:
 *
 *     8 files, 16777216 bytes, all as they should be */
#include <fxthread.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 256 * 1024 };

static uint32_t table[256];
static fx_executor *pool;
static atomic_llong bytes_done;
static atomic_int files_done;

/* --- the sum ---------------------------------------------------------------------------------- */

static void fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
        table[i] = value;
    }
}

static uint32_t add(uint32_t sum, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum = table[(sum ^ bytes[i]) & 255] ^ sum >> 8;
    return sum;
}

/* --- a file ----------------------------------------------------------------------------------- */

struct file {
    const char *name;
    uint32_t sum;
    bool is_summed;
    int fd;
    unsigned char *blocks; /* two */
    fx_future *under_way;  /* the read of the next one */
};

/* However the task ends: the kernel is not to write into memory that is freed. */
static void close_file(void *arg)
{
    struct file *file = arg;
    if (file->under_way) {
        fx_future_stop(file->under_way);
        fx_future_io(file->under_way);
        fx_future_unref(file->under_way);
    }
    if (file->fd >= 0)
        fx_close(file->fd);
    free(file->blocks);
}

static void read_block(struct file *file, long number)
{
    file->under_way = fx_async_read(pool, file->fd, file->blocks + number % 2 * BLOCK, BLOCK,
                                    (off_t)number * BLOCK);
    if (!file->under_way)
        fx_raise(-errno);
}

static int64_t take_block(struct file *file)
{
    int64_t n = fx_future_io(file->under_way);
    fx_future_unref(file->under_way);
    file->under_way = NULL;
    if (n < 0)
        fx_raise((fx_exc)n);
    return n;
}

static void *sum_file(void *arg)
{
    struct file *file = arg;
    uint32_t sum = 0xffffffff;
    int64_t n;

    FX_DEFER(close_file, file);
    file->blocks = malloc(2 * BLOCK);
    file->fd = fx_check(fx_openat(AT_FDCWD, file->name, O_RDONLY | O_CLOEXEC, 0));
    if (!file->blocks)
        fx_raise(-ENOMEM);
    read_block(file, 0);
    for (long number = 0; (n = take_block(file)) > 0; number++) {
        read_block(file, number + 1);
        sum = add(sum, file->blocks + number % 2 * BLOCK, (size_t)n);
        atomic_fetch_add(&bytes_done, n);
    }
    file->sum = ~sum;
    file->is_summed = true;
    atomic_fetch_add(&files_done, 1);
    return NULL;
}

/* --- all of them ------------------------------------------------------------------------------ */

static void show_progress(int n_files)
{
    fprintf(stderr, "\r%d of %d files, %lld MB", atomic_load(&files_done), n_files,
            atomic_load(&bytes_done) >> 20);
}

/* Returns how many could not be read. */
static int sum_all(struct file *files, int n)
{
    fx_future **futures = calloc((size_t)n, sizeof *futures);
    int failed = 0;

    for (int i = 0; i < n; i++)
        futures[i] = fx_submit(pool, sum_file, &files[i]);
    while (fx_wait(futures, (size_t)n, FX_MSEC(100), FX_ALL_COMPLETED, NULL) == -ETIMEDOUT)
        show_progress(n);
    show_progress(n);
    fputc('\n', stderr);
    for (int i = 0; i < n; i++) {
        fx_exc code = 0;
        if (fx_future_exception(futures[i], &code) == 0 && code != 0) {
            fprintf(stderr, "%s: %s\n", files[i].name, strerror(-code));
            failed++;
        }
    }
    fx_future_unref_all(futures, (size_t)n);
    free(futures);
    return failed;
}

static int print_sums(char **names, int n)
{
    struct file *files = calloc((size_t)n, sizeof *files);
    for (int i = 0; i < n; i++)
        files[i] = (struct file){ .name = names[i], .fd = -1 };
    int failed = sum_all(files, n);
    for (int i = 0; i < n; i++)
        if (files[i].is_summed)
            printf("%08x  %s\n", files[i].sum, files[i].name);
    free(files);
    return failed;
}

/* --- the trial -------------------------------------------------------------------------------- */

enum { FILES = 8, SIZE = 2 << 20 };

static uint32_t make_file(char *name)
{
    static unsigned char content[SIZE];
    int fd = mkstemp(name);
    for (int i = 0; i < SIZE; i++)
        content[i] = (unsigned char)rand();
    if (fd < 0 || write(fd, content, SIZE) != SIZE) {
        perror(name);
        exit(EXIT_FAILURE);
    }
    close(fd);
    return ~add(0xffffffff, content, SIZE);
}

static int try_out(void)
{
    char names[FILES][32];
    struct file files[FILES];
    uint32_t expected[FILES];
    int wrong = 0;

    for (int i = 0; i < FILES; i++) {
        strcpy(names[i], "/tmp/fxthread-sum-XXXXXX");
        expected[i] = make_file(names[i]);
        files[i] = (struct file){ .name = names[i], .fd = -1 };
    }
    wrong = sum_all(files, FILES);
    for (int i = 0; i < FILES; i++) {
        wrong += files[i].sum != expected[i];
        unlink(names[i]);
    }
    if (wrong == 0)
        printf("%d files, %lld bytes, all as they should be\n", FILES, atomic_load(&bytes_done));
    return wrong;
}

int main(int argc, char **argv)
{
    fill_table();
    pool = fx_thread_pool_new(NULL);
    if (!pool) {
        perror("fx_thread_pool_new");
        return EXIT_FAILURE;
    }
    int failed = argc > 1 ? print_sums(argv + 1, argc - 1) : try_out();
    fx_executor_shutdown(pool, true, false);
    fx_executor_unref(pool);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
