/* The list of probes. */
#include "probes.h"

const struct probe probes[] = {
    {"birth", probe_birth, true},
    {"thread_locals", probe_thread_locals, true},
    {"module_thread_locals", probe_module_thread_locals, true},
    {"cxx_thread_locals", probe_cxx_thread_locals, true},
    {"errno", probe_errno, false},
    {"malloc", probe_malloc, false},
    {"stdio", probe_stdio, false},
    {"locale", probe_locale, false},
    {"strtod", probe_strtod, false},
    {"resolver", probe_resolver, false},
    {"time", probe_time, false},
    {"qsort", probe_qsort, false},
    {"backtrace", probe_backtrace, false},
    {"processor", probe_processor, false},
    {"self", probe_self, false},
    {"stack_bounds", probe_stack_bounds, false},
    {"thread_name", probe_thread_name, false},
    {"signals", probe_signals, false},
    {"keys", probe_keys, true},
    {"mutexes", probe_mutexes, false},
    {"robust_mutex", probe_robust_mutex, false},
    {"priority_inheritance", probe_priority_inheritance, false},
    {"rwlock", probe_rwlock, false},
    {"condition", probe_condition, false},
    {"once", probe_once, false},
    {"pthread", probe_pthread, false},
    {"dlopen", probe_dlopen, false},
    {"popen", probe_popen, false},
    {"fork", probe_fork, false},
};
const int probe_count = sizeof probes / sizeof probes[0];

void probes_prepare(void)
{
    probes_c_prepare();
    probes_pthread_prepare();
    probes_process_prepare();
}

void probes_run(int number)
{
    for (int i = 0; i < probe_count; i++)
        probes[i].run(number);
}

void probes_finish(void)
{
    probes_c_finish();
    probes_pthread_finish();
    probes_process_finish();
}
