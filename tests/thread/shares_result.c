/* Run by helgrind.sh: what a thread wrote before its end is read after the join, which is no race. */
#include <fxthread.h>

#include <stdlib.h>

static int written_by_thread;

static void *write_it(void *arg)
{
    written_by_thread = 1;
    return arg;
}

int main(void)
{
    for (int i = 0; i < 20; i++) {
        fx_thread *thread = fx_thread_spawn(write_it, NULL);
        if (!thread || fx_thread_join(thread, NULL) != 0 || written_by_thread != 1)
            return EXIT_FAILURE;
        written_by_thread = 0;
        fx_thread_unref(thread);
    }
    return EXIT_SUCCESS;
}
