/* What Valgrind cannot see by itself: its race detector Helgrind an order that atomics and futexes
 * make, and all of it which memory is a stack that may be switched to. Some instructions without
 * effect outside Valgrind; nothing where its header was not found. */
#ifndef FXI_BASE_ANNOTATE_H
#define FXI_BASE_ANNOTATE_H

#ifdef FXI_HAVE_HELGRIND_H
#include <valgrind/helgrind.h>
#include <valgrind/valgrind.h>
#define fxi_happens_before(object) ANNOTATE_HAPPENS_BEFORE(object)
#define fxi_happens_after(object) ANNOTATE_HAPPENS_AFTER(object)
/* A number for the latter call. */
#define fxi_stack_register(base, end) VALGRIND_STACK_REGISTER((base), (end))
#define fxi_stack_deregister(number) VALGRIND_STACK_DEREGISTER(number)
#define fxi_runs_on_valgrind() (RUNNING_ON_VALGRIND != 0)
#else
#define fxi_happens_before(object) ((void)0)
#define fxi_happens_after(object) ((void)0)
#define fxi_stack_register(base, end) 0u
#define fxi_stack_deregister(number) ((void)(number))
#define fxi_runs_on_valgrind() false
#endif

#endif
