/* fxthread: Python's threading and concurrent.futures for C on Linux.
 *
 * Include this header, link with -lfxthread. It includes the headers of the single concepts under
 * fxthread/ and adds nothing of its own. */
#ifndef FXTHREAD_H
#define FXTHREAD_H

#include <fxthread/barrier.h>
#include <fxthread/base.h>
#include <fxthread/condition.h>
#include <fxthread/duration.h>
#include <fxthread/event.h>
#include <fxthread/exception.h>
#include <fxthread/executor.h>
#include <fxthread/future.h>
#include <fxthread/io.h>
#include <fxthread/local.h>
#include <fxthread/lock.h>
#include <fxthread/map.h>
#include <fxthread/once.h>
#include <fxthread/process_pool.h>
#include <fxthread/queue.h>
#include <fxthread/rlock.h>
#include <fxthread/rwlock.h>
#include <fxthread/scope.h>
#include <fxthread/semaphore.h>
#include <fxthread/stop.h>
#include <fxthread/thread.h>
#include <fxthread/thread_pool.h>
#include <fxthread/timer.h>
#include <fxthread/with.h>

#endif
