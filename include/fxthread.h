/* fxthread: Python's threading and concurrent.futures for C on Linux.
 *
 * Include this header, link with -lfxthread. It includes the headers of the single concepts under
 * fxthread/ and adds nothing of its own. */
#ifndef FXTHREAD_H
#define FXTHREAD_H

#include <fxthread/base.h>
#include <fxthread/duration.h>
#include <fxthread/exception.h>
#include <fxthread/local.h>
#include <fxthread/thread.h>
#include <fxthread/timer.h>

#endif
