/* Probes of thread-local storage, and of what concerns the process: modules, pipes, children. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module_tls.h"
#include "probes.h"
#include "sanitizer.h"

static struct tls_module module;
static void *cxx_handle; /* NULL where there is no C++ compiler */
static int (*cxx_touch)(void), (*cxx_constructed)(void), (*cxx_destroyed)(void);
static atomic_int cxx_threads;

/* --- thread-locals ---------------------------------------------------------------------------- */

static int anchor;
static _Thread_local long zeroed[100];
static _Thread_local int initialised[3] = {4, 55, 666};
static _Thread_local int *pointer = &anchor;
static _Thread_local char text[32] = "as it was";
static _Thread_local _Alignas(64) char aligned[64];

void probe_thread_locals(int number)
{
    long sum = 0;
    for (int i = 0; i < 100; i++)
        sum |= zeroed[i];
    expect_int(sum, ==, 0);
    expect(initialised[0] == 4 && initialised[1] == 55 && initialised[2] == 666);
    expect(pointer == &anchor);
    expect(strcmp(text, "as it was") == 0);
    expect_int((uintptr_t)aligned % 64, ==, 0);
    expect_int(aligned[0] | aligned[63], ==, 0);

    for (int i = 0; i < 100; i++)
        zeroed[i] = number + 1;
    initialised[0] = initialised[1] = initialised[2] = number;
    pointer = initialised;
    snprintf(text, sizeof text, "of %d", number);
    memset(aligned, 'x', sizeof aligned);
    sched_yield();
    expect(zeroed[99] == number + 1 && initialised[1] == number && pointer == initialised);
}

void probe_module_thread_locals(int number)
{
    expect(module.is_initial());
    module.set(number + 1);
    sched_yield();
    expect(module.has(number + 1));
}

void probe_cxx_thread_locals(int number)
{
    (void)number;
    if (!cxx_handle)
        return;
    expect_int(cxx_touch(), ==, 1);
    expect_int(cxx_touch(), ==, 2);
    atomic_fetch_add(&cxx_threads, 1);
}

/* --- modules ---------------------------------------------------------------------------------- */

static int count_object(struct dl_phdr_info *info, size_t size, void *count)
{
    (void)info, (void)size;
    ++*(int *)count;
    return 0;
}

void probe_dlopen(int number)
{
    struct tls_module again;
    if (expect(tls_module_open(&again, MODULE_TLS))) {
        expect(again.is_initial == module.is_initial);
        again.set(number + 7);
        expect(module.has(number + 7));
        Dl_info info;
        expect(dladdr((void *)again.set, &info) && strcmp(info.dli_sname, "module_set") == 0);
        expect_int(dlclose(again.handle), ==, 0);
    }
    char path[64];
    snprintf(path, sizeof path, "/nonexistent/module-%d.so", number);
    expect(dlopen(path, RTLD_NOW) == NULL);
    sched_yield();
    const char *message = dlerror();
    expect(message && strstr(message, path));
    expect(dlerror() == NULL);
    expect(dlsym(RTLD_DEFAULT, "no_such_symbol") == NULL);
    message = dlerror();
    expect(message && strstr(message, "no_such_symbol"));
    int count = 0;
    dl_iterate_phdr(count_object, &count);
    expect_int(count, >, 2);
    errno = 0;
}

/* --- children --------------------------------------------------------------------------------- */

void probe_popen(int number)
{
    char command[32], line[32] = "";
    snprintf(command, sizeof command, "echo %d; exit 3", number);
    FILE *pipe_end = popen(command, "r");
    if (!expect(pipe_end != NULL))
        return;
    expect(fgets(line, sizeof line, pipe_end) != NULL);
    expect_int(atoi(line), ==, number);
    int status = pclose(pipe_end);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    errno = 0;
}

static int child_body(int number)
{
    if (!CHILD_MAY_ALLOCATE)
        return number % 200;
    char *memory = malloc(5000);
    if (!memory)
        return 254;
    memset(memory, number, 5000);
    free(memory);
    FILE *null = fopen("/dev/null", "w");
    if (!null || fprintf(null, "%d %.3f\n", number, 0.5) < 0 || fclose(null) != 0)
        return 253;
    if (zeroed[99] != 0 && initialised[1] + 1 != zeroed[99]) /* they are the parent thread's */
        return 252;
    return number % 200;
}

void probe_fork(int number)
{
    pid_t child = fork();
    if (child == 0) /* not _exit(): the address sanitizer allocates before what does not return */
        syscall(SYS_exit_group, child_body(number));
    if (!expect_int(child, >, 0))
        return;
    int status = -1;
    expect_int(waitpid(child, &status, 0), ==, child);
    expect(WIFEXITED(status));
    expect_int(WEXITSTATUS(status), ==, number % 200);
}

/* --- before and after ------------------------------------------------------------------------- */

void probes_process_prepare(void)
{
    if (!tls_module_open(&module, MODULE_TLS)) {
        fprintf(stderr, "%s\n", dlerror());
        abort();
    }
    cxx_handle = dlopen(MODULE_CXX, RTLD_NOW | RTLD_LOCAL);
    dlerror();
    if (!cxx_handle)
        return;
    cxx_touch = (int (*)(void))dlsym(cxx_handle, "module_cxx_touch");
    cxx_constructed = (int (*)(void))dlsym(cxx_handle, "module_cxx_constructed");
    cxx_destroyed = (int (*)(void))dlsym(cxx_handle, "module_cxx_destroyed");
}

void probes_process_finish(void)
{
    if (cxx_handle) {
        expect_int(cxx_constructed(), ==, atomic_load(&cxx_threads));
        expect_int(cxx_destroyed(), ==, atomic_load(&cxx_threads));
        expect_int(dlclose(cxx_handle), ==, 0);
    }
    expect_int(dlclose(module.handle), ==, 0);
}
