/* What a thread may expect of libc, as a list of probes: functions that any thread can run, at the
 * same time as others, again and again. Each expects (record.h) that one part of libc works and
 * that nothing of another thread, present or past, shows through.
 */
#ifndef TESTS_LIBC_PROBES_H
#define TESTS_LIBC_PROBES_H

#include "record.h"

struct probe {
    const char *name;
    void (*run)(int number); /* of the thread: what threads do differently, they do by it */
    bool once;               /* for each thread: it looks at what the thread was born with */
};

extern const struct probe probes[];
extern const int probe_count;

/* Once before the first thread that probes, in the main thread. */
void probes_prepare(void);

/* Runs them all, in the order of the list. To be called once by each thread. */
void probes_run(int number);

/* Once after the last such thread was joined: what was left for the threads' ends has happened. */
void probes_finish(void);

/* C library, pthread functions, what concerns the process: the three parts of the list. */
void probe_birth(int number);
void probe_errno(int number);
void probe_malloc(int number);
void probe_stdio(int number);
void probe_locale(int number);
void probe_strtod(int number);
void probe_resolver(int number);
void probe_time(int number);
void probe_qsort(int number);
void probe_backtrace(int number);
void probe_processor(int number);
void probes_c_prepare(void);
void probes_c_finish(void);

void probe_self(int number);
void probe_stack_bounds(int number);
void probe_thread_name(int number);
void probe_signals(int number);
void probe_keys(int number);
void probe_mutexes(int number);
void probe_robust_mutex(int number);
void probe_priority_inheritance(int number);
void probe_rwlock(int number);
void probe_condition(int number);
void probe_once(int number);
void probe_pthread(int number);
void probes_pthread_prepare(void);
void probes_pthread_finish(void);

void probe_thread_locals(int number);
void probe_module_thread_locals(int number);
void probe_cxx_thread_locals(int number);
void probe_dlopen(int number);
void probe_popen(int number);
void probe_fork(int number);
void probes_process_prepare(void);
void probes_process_finish(void);

#endif
