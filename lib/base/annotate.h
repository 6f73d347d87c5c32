/* What Helgrind, Valgrind's race detector, cannot see by itself: an order that atomics and futexes
 * make. Some instructions without effect outside Valgrind; nothing where its header was not found. */
#ifndef FXI_BASE_ANNOTATE_H
#define FXI_BASE_ANNOTATE_H

#ifdef FXI_HAVE_HELGRIND_H
#include <valgrind/helgrind.h>
#define fxi_happens_before(object) ANNOTATE_HAPPENS_BEFORE(object)
#define fxi_happens_after(object) ANNOTATE_HAPPENS_AFTER(object)
#else
#define fxi_happens_before(object) ((void)0)
#define fxi_happens_after(object) ((void)0)
#endif

#endif
