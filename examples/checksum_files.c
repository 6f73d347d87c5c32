/* I want the checksums of many files, computed side by side; and if what reads a file crashes
 * over one of them, I want those of all others.
 *
 * Submit each file's name, by value: then the same program runs on threads and on processes, and
 * the line that makes the executor says which. On processes a file that cannot be digested costs
 * its own line. It prints, as cksum(1) would,
 *
 *     3287646509 5 hello.txt
 *
 * usage: checksum_files [threads | processes] [FILE...]
 *     by default: on threads, and then on processes; of itself */
#include <fxthread.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

struct checksum {
    uint32_t crc;
    uint64_t bytes;
};

static uint32_t step(uint32_t crc, unsigned char byte)
{
    crc ^= (uint32_t)byte << 24;
    for (int bit = 0; bit < 8; bit++)
        crc = crc << 1 ^ (crc & 0x80000000 ? 0x04c11db7 : 0);
    return crc;
}

/* What runs elsewhere: it has a copy of the name, and leaves a copy of the checksum. */
static int read_file(const void *name, size_t name_size, void *result, size_t result_size)
{
    (void)name_size;
    (void)result_size;
    struct checksum *sum = result;
    FILE *file = fopen(name, "rb");
    if (!file)
        return -errno;
    for (int c; (c = getc(file)) != EOF; sum->bytes++)
        sum->crc = step(sum->crc, (unsigned char)c);
    int rc = ferror(file) ? -EIO : 0;
    fclose(file);
    for (uint64_t n = sum->bytes; n != 0; n >>= 8)
        sum->crc = step(sum->crc, (unsigned char)n);
    sum->crc = ~sum->crc;
    return rc;
}

static bool print_outcome(fx_future *future, const char *name)
{
    struct checksum sum;
    fx_exc code;
    int status;
    if (fx_future_result_copy(future, &sum, sizeof sum) == 0) {
        printf("%u %ju %s\n", (unsigned)sum.crc, (uintmax_t)sum.bytes, name);
        return true;
    }
    if (fx_future_worker_status(future, &status) == 0 && WIFSIGNALED(status))
        fprintf(stderr, "%s: the process that read it crashed: %s\n", name,
                strsignal(WTERMSIG(status)));
    else if (fx_future_exception(future, &code) == 0)
        fprintf(stderr, "%s: %s\n", name, code < 0 ? strerror(-code) : fx_exc_name(code));
    return false;
}

static bool print_checksums(fx_executor *pool, char **names, size_t n)
{
    bool all = true;
    fx_future **futures = calloc(n, sizeof *futures);
    for (size_t i = 0; i < n && futures; i++)
        futures[i] = fx_submit_copy(pool, read_file, names[i], strlen(names[i]) + 1,
                                    sizeof(struct checksum));
    for (size_t i = 0; i < n && futures; i++)
        if (!futures[i] || !print_outcome(futures[i], names[i]))
            all = false;
    if (futures)
        fx_future_unref_all(futures, n);
    free(futures);
    return all && futures;
}

static bool run_on(const char *kind, char **names, size_t n)
{
    fx_executor *pool =
        strcmp(kind, "threads") == 0 ? fx_thread_pool_new(NULL) : fx_process_pool_new(NULL);
    if (!pool) {
        perror(kind);
        return false;
    }
    bool all = print_checksums(pool, names, n);
    fx_executor_shutdown(pool, true, false);
    fx_executor_unref(pool);
    return all;
}

int main(int argc, char **argv)
{
    bool is_named = argc > 1 && (strcmp(argv[1], "threads") == 0 ||
                                 strcmp(argv[1], "processes") == 0);
    char **names = argv + 1 + is_named, *itself[] = { argv[0] };
    size_t n = (size_t)argc - 1 - is_named;
    if (n == 0) {
        names = itself;
        n = 1;
    }
    bool all;
    if (is_named)
        all = run_on(argv[1], names, n);
    else
        all = run_on("threads", names, n) && run_on("processes", names, n);
    return all ? EXIT_SUCCESS : EXIT_FAILURE;
}
