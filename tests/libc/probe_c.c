/* Probes of the C library proper: what libc keeps per thread or guards with its own locks. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <fenv.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <resolv.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>
#include <wchar.h>

#include "probes.h"
#include "robust_list.h"

static int *main_errno;
static struct __res_state *main_resolver;
static int localhost_code;
static int localhost_family;
static FILE *shared_log;
static atomic_int lines_logged;

/* --- what a thread is born with --------------------------------------------------------------- */

void probe_birth(int number)
{
    (void)number;
    expect_int(errno, ==, 0);
    expect(&errno != main_errno);
    expect(dlerror() == NULL);
    expect(uselocale((locale_t)0) == LC_GLOBAL_LOCALE);
    expect(isalpha('a') && !isalpha('1') && toupper('q') == 'Q');
    expect_int(fegetround(), ==, FE_TONEAREST);
    expect(&_res != main_resolver);

    struct robust_list_head *robust;
    if (robust_list_of_self(&robust) && expect(robust != NULL)) {
        expect(robust->list.next == &robust->list);
        expect(robust->list_op_pending == NULL);
    }

    int old = -1;
    expect_int(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old), ==, 0);
    expect_int(old, ==, PTHREAD_CANCEL_ENABLE);
    expect_int(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &old), ==, 0);
    expect_int(old, ==, PTHREAD_CANCEL_DEFERRED);
    pthread_testcancel();
}

/* --- errno, memory, streams ------------------------------------------------------------------- */

void probe_errno(int number)
{
    for (int round = 0; round < 20; round++) {
        errno = 1000 + number;
        sched_yield();
        expect_int(errno, ==, 1000 + number);
        expect_int(close(-1), ==, -1);
        sched_yield();
        expect_int(errno, ==, EBADF);
    }
    errno = 0;
}

/* A block that says what it is, so that one that two threads were given is noticed. */
struct block {
    size_t size;
    unsigned char fill;
    unsigned char bytes[];
};

static struct block *make_block(size_t size, unsigned char fill)
{
    struct block *block = malloc(sizeof *block + size);
    if (!expect(block != NULL))
        abort();
    block->size = size;
    block->fill = fill;
    memset(block->bytes, fill, size);
    return block;
}

static void end_block(struct block *block)
{
    if (!block)
        return;
    size_t wrong = 0;
    for (size_t i = 0; i < block->size; i++)
        wrong += block->bytes[i] != block->fill;
    expect_int(wrong, ==, 0);
    free(block);
}

void probe_malloc(int number)
{
    enum { HELD = 16 };
    static _Atomic(struct block *) passed_on[8];
    struct block *held[HELD] = {NULL};
    unsigned dice = (unsigned)number * 2654435761u + 1;

    for (int round = 0; round < 200; round++) {
        dice = dice * 1664525u + 1013904223u;
        int slot = (dice >> 8) % HELD;
        end_block(held[slot]);
        /* small ones of the thread's cache, middling ones of the arena, now and then a mapping */
        size_t size = round % 50 == 49 ? 200000 : (dice >> 16) % 3000;
        held[slot] = make_block(size, (unsigned char)(dice >> 24));
        if (round % 4 == 0) { /* freed by another thread than the one that allocated it */
            end_block(atomic_exchange(&passed_on[dice % 8], held[slot]));
            held[slot] = NULL;
        }
    }
    for (int i = 0; i < HELD; i++)
        end_block(held[i]);
    for (int i = 0; i < 8; i++)
        end_block(atomic_exchange(&passed_on[i], NULL));

    char *grown = NULL;
    for (int n = 1; n < 2000; n += 97) {
        grown = realloc(grown, (size_t)n);
        if (!expect(grown != NULL))
            return;
        grown[n - 1] = (char)n;
        expect(grown[0] == 1);
    }
    free(grown);
    void *aligned = NULL;
    expect_int(posix_memalign(&aligned, 256, 1000), ==, 0);
    expect(((uintptr_t)aligned & 255) == 0);
    free(aligned);
}

void probe_stdio(int number)
{
    char text[64], wanted[64];
    expect_int(snprintf(text, sizeof text, "%d %.3f %s", number, 0.125, "x"), >, 0);
    char *memory = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&memory, &size);
    if (expect(stream != NULL)) {
        fprintf(stream, "%d %.3f %s", number, 0.125, "x");
        expect_int(fclose(stream), ==, 0);
        expect(memory && strcmp(memory, text) == 0);
        free(memory);
    }

    stream = tmpfile();
    if (expect(stream != NULL)) {
        fprintf(stream, "line of %d\n", number);
        rewind(stream);
        snprintf(wanted, sizeof wanted, "line of %d\n", number);
        expect(fgets(text, sizeof text, stream) && strcmp(text, wanted) == 0);
        fclose(stream);
    }

    /* one stream for all: its lock counts by owner */
    for (int i = 0; i < 10; i++) {
        flockfile(shared_log);
        fprintf(shared_log, "%d", number);
        sched_yield();
        fprintf(shared_log, ":%d\n", number);
        funlockfile(shared_log);
        atomic_fetch_add(&lines_logged, 1);
    }
}

/* --- locale, numbers, time -------------------------------------------------------------------- */

void probe_locale(int number)
{
    const char *name = number % 2 ? "C.UTF-8" : "C";
    locale_t mine = newlocale(LC_ALL_MASK, name, (locale_t)0);
    if (!mine && number % 2) /* a libc without it */
        mine = newlocale(LC_ALL_MASK, name = "C", (locale_t)0);
    if (!expect(mine != (locale_t)0))
        return;
    bool utf8 = strcmp(name, "C") != 0;
    locale_t before = uselocale(mine);
    expect(before == LC_GLOBAL_LOCALE);
    for (int round = 0; round < 5; round++) {
        wchar_t wide[8];
        size_t length = mbstowcs(wide, "\xc3\xa9", 8);
        expect(utf8 ? length == 1 && wide[0] == 0xe9 : length != 1);
        expect((strcmp(nl_langinfo(CODESET), "UTF-8") == 0) == utf8);
        expect(isupper('Q') && tolower('Q') == 'q');
        sched_yield();
    }
    expect(uselocale(before) == mine);
    freelocale(mine);
    expect(strcmp(nl_langinfo(CODESET), "UTF-8") != 0);
}

void probe_strtod(int number)
{
    (void)number;
    char *end;
    expect(strtod("3.25e2!", &end) == 325.0 && *end == '!');
    expect(strtod("0x1.8p3", NULL) == 12.0);
    /* halfway between two numbers, and a trifle above: the arithmetic of many words decides */
    expect(strtod("9007199254740993", NULL) == 9007199254740992.0);
    expect(strtod("9007199254740993.00000000000000000000000000000000000000000000000000000000001",
                  NULL) == 9007199254740994.0);
    errno = 0;
    expect(strtod("1e999", NULL) == HUGE_VAL);
    expect_int(errno, ==, ERANGE);
    char text[64];
    snprintf(text, sizeof text, "%.20g %a", 0.1, 12.0);
    expect(strcmp(text, "0.10000000000000000555 0x1.8p+3") == 0);
    errno = 0;
}

static int look_up_localhost(int *family)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int code = getaddrinfo("localhost", NULL, &hints, &list);
    if (code == 0) {
        *family = list->ai_family;
        freeaddrinfo(list);
    }
    return code;
}

void probe_resolver(int number)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *list = NULL;
    char text[64], back[64];
    snprintf(text, sizeof text, "127.0.%d.%d", number / 250 % 250, 1 + number % 250);
    if (expect_int(getaddrinfo(text, "80", &hints, &list), ==, 0)) {
        expect_int(getnameinfo(list->ai_addr, list->ai_addrlen, back, sizeof back, NULL, 0,
                               NI_NUMERICHOST), ==, 0);
        expect(strcmp(back, text) == 0);
        freeaddrinfo(list);
    }
    int family = 0;
    expect_int(look_up_localhost(&family), ==, localhost_code);
    if (localhost_code == 0)
        expect_int(family, ==, localhost_family);
}

void probe_time(int number)
{
    /* the rules of TZ: one hour ahead, two in summer */
    time_t winter = 1700000000 + number, summer = 1690000000 + number;
    struct tm tm, utc;
    if (expect(localtime_r(&winter, &tm) && gmtime_r(&winter, &utc))) {
        expect_int(tm.tm_gmtoff, ==, 3600);
        expect_int((tm.tm_hour + 23) % 24, ==, utc.tm_hour);
        expect_int(mktime(&tm), ==, winter);
    }
    if (expect(localtime_r(&summer, &tm) != NULL)) {
        expect_int(tm.tm_isdst, ==, 1);
        char text[64];
        expect(strftime(text, sizeof text, "%Z", &tm) > 0 && strcmp(text, "FXDT") == 0);
    }
}

static int by_value(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

void probe_qsort(int number)
{
    /* few enough for a buffer on the stack, and too many for one */
    for (int n = 50; n <= 5000; n *= 100) {
        int *values = malloc((size_t)n * sizeof *values);
        if (!expect(values != NULL))
            return;
        unsigned dice = (unsigned)number + 1;
        for (int i = 0; i < n; i++)
            values[i] = (int)(dice = dice * 1664525u + 1013904223u);
        qsort(values, (size_t)n, sizeof *values, by_value);
        int wrong = 0;
        for (int i = 1; i < n; i++)
            wrong += values[i - 1] > values[i];
        expect_int(wrong, ==, 0);
        free(values);
    }
}

/* --- the stack as unwinders see it, the processor --------------------------------------------- */

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *count)
{
    (void)context;
    return ++*(int *)count < 1000 ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

void probe_backtrace(int number)
{
    (void)number;
    void *frames[200];
    int depth = backtrace(frames, 200), count = 0;
    expect_int(depth, >=, 2);
    expect_int(depth, <, 40); /* the walk ends at the thread's first frame, and not by chance */
    expect_int(_Unwind_Backtrace(count_frame, &count), ==, _URC_END_OF_STACK);
    expect_int(count, <, 40);
}

void probe_processor(int number)
{
    cpu_set_t allowed, one;
    unsigned kernels = 0;
    if (!expect_int(pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed), ==, 0))
        return;
    int pinned = 0;
    for (int cpu = number % 2; cpu < CPU_SETSIZE && pinned < 2; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        pinned++;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (!expect_int(pthread_setaffinity_np(pthread_self(), sizeof one, &one), ==, 0))
            break;
        expect_int(sched_getcpu(), ==, cpu);
        expect_int(syscall(SYS_getcpu, &kernels, NULL, NULL), ==, 0);
        expect_int(kernels, ==, cpu);
        expect_int(sched_getaffinity(0, sizeof one, &one), ==, 0);
        expect(CPU_COUNT(&one) == 1 && CPU_ISSET(cpu, &one));
    }
    expect_int(pthread_setaffinity_np(pthread_self(), sizeof allowed, &allowed), ==, 0);
}

/* --- before and after ------------------------------------------------------------------------- */

void probes_c_prepare(void)
{
    setenv("TZ", "FXST-1FXDT,M3.5.0,M10.5.0/3", 1);
    tzset();
    main_errno = &errno;
    main_resolver = &_res;
    localhost_code = look_up_localhost(&localhost_family);
    shared_log = tmpfile();
    if (!shared_log)
        abort();
}

void probes_c_finish(void)
{
    int lines = 0, left, right;
    char text[64];
    rewind(shared_log);
    while (fgets(text, sizeof text, shared_log)) {
        expect_int(sscanf(text, "%d:%d\n", &left, &right), ==, 2);
        expect_int(left, ==, right);
        lines++;
    }
    expect_int(lines, ==, atomic_load(&lines_logged));
    fclose(shared_log);
}
