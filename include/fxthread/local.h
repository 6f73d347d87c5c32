/* Thread-locals made at run time: as pthread keys, without their limit in number, and with keys that
 * a later fx_local_create() never makes valid again by accident.
 *
 * A context (a thread, later a task) has its own value under each key, NULL at first. When it ends,
 * each value that is not NULL is taken out and given to its key's destructor; a destructor that sets
 * values has them destroyed too, in up to 4 rounds in all, in no particular order. What one raises goes
 * to the excepthook, and the others are called all the same.
 *
 *     static fx_local buffer_key;                         // 0 until made: 0 is never a key
 *     fx_local_create(&buffer_key, free);
 *     fx_local_set(buffer_key, malloc(4096));             // freed when this thread ends
 *     char *mine = fx_local_get(buffer_key);
 */
#ifndef FXTHREAD_LOCAL_H
#define FXTHREAD_LOCAL_H

#include <fxthread/base.h>

FX_BEGIN_DECLS

typedef uint64_t fx_local; /* 0 is never a key */

/* Makes a key. `destructor` may be NULL. 0; -EINVAL: key is NULL; -ENOMEM. May block on memory
 * allocation only. Not a stop point; not signal-safe. */
FX_API int fx_local_create(fx_local *key, fx_callback destructor);

/* The calling context's value; NULL if it has none, or if the key is deleted or never was one. Does
 * not block; signal-safe. */
FX_API void *fx_local_get(fx_local key);

/* Sets the calling context's value. The old one is not destroyed. 0; -EINVAL: no such key; -ENOMEM:
 * nothing is changed. Not a stop point; not signal-safe. */
FX_API int fx_local_set(fx_local key, void *value);

/* Ends a key. Values that contexts still have under it are dropped and not destroyed. 0; -EINVAL:
 * no such key (deleted twice, too). */
FX_API int fx_local_delete(fx_local key);

FX_END_DECLS

#endif
