/* I want a variable of which each thread has its own, made at run time and cleaned up by itself.
 *
 * Make a key. Under it each thread gets and sets its own value, which is NULL at first, and which
 * the key's destructor is given when the thread ends. It prints, the workers in either order:
 *
 *     MainThread: 1000
 *     worker-1: no value yet
 *     worker-1: 1
 *     worker-2: no value yet
 *     worker-2: 2
 *     MainThread: 1000
 *
 * Where the variable is known when the program is compiled, _Thread_local does it, too. */
#include <fxthread.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fx_local number_key;

static void show(void)
{
    const char *name = fx_thread_name(fx_current_thread());
    const int *number = fx_local_get(number_key);

    if (number)
        printf("%s: %d\n", name, *number);
    else
        printf("%s: no value yet\n", name);
}

/* Makes `value` the calling thread's; raises if there is no memory for it. */
static void set(int value)
{
    int *number = malloc(sizeof *number);
    int rc = number ? 0 : -ENOMEM;

    if (rc == 0) {
        *number = value;
        rc = fx_local_set(number_key, number);
    }
    if (rc != 0) {
        free(number);
        fx_raise_msg(rc, "no place for %d", value);
    }
}

static void *work(void *number)
{
    show();
    set(*(const int *)number);
    show();
    return NULL;
}

static fx_thread *start(const char *name, int *number)
{
    fx_thread *thread = fx_thread_new(work, number, &(fx_thread_attr){.name = name});
    int rc = thread ? fx_thread_start(thread) : -errno;

    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", name, strerror(-rc));
        exit(EXIT_FAILURE);
    }
    return thread;
}

/* Waits for the thread and gives up its handle. Whether it ended well. */
static bool finish(fx_thread *thread)
{
    bool well = fx_thread_join(thread, NULL) == 0 && fx_thread_exception(thread) == 0;

    fx_thread_unref(thread);
    return well;
}

int main(void)
{
    static int numbers[] = {1, 2}; /* static: they outlive main where a worker does */
    int rc = fx_local_create(&number_key, free);

    if (rc != 0) {
        fprintf(stderr, "no key: %s\n", strerror(-rc));
        return EXIT_FAILURE;
    }
    set(1000);
    show();

    fx_thread *first = start("worker-1", &numbers[0]);
    fx_thread *second = start("worker-2", &numbers[1]);
    bool first_is_well = finish(first);
    bool second_is_well = finish(second);

    show();
    /* The main thread does not end before the process does, so its value is its own to free. */
    free(fx_local_get(number_key));
    fx_local_delete(number_key);
    return first_is_well && second_is_well ? EXIT_SUCCESS : EXIT_FAILURE;
}
