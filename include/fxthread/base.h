/* What every public header of the library needs: linkage, visibility and the shapes of callbacks. */
#ifndef FXTHREAD_BASE_H
#define FXTHREAD_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define FX_BEGIN_DECLS extern "C" {
#define FX_END_DECLS }
#else
#define FX_BEGIN_DECLS
#define FX_END_DECLS
#endif

#define FX_NORETURN __attribute__((noreturn))

/* A name of the library's binary interface. */
#define FX_API __attribute__((visibility("default")))

/* A function that is inlined, in C and in C++, and for which the library has a real symbol too: what
 * an unoptimised build calls, and other languages, and whoever takes its address. */
#define FX_INLINE extern inline __attribute__((gnu_inline))

/* fprintf-like: the format is argument f, what it formats begins at argument v. */
#define FX_PRINTF(f, v) __attribute__((format(printf, f, v)))

FX_BEGIN_DECLS

/* What a thread runs: what it returns is what joining the thread yields. */
typedef void *(*fx_target)(void *arg);

/* A destructor, or any other call with one argument. */
typedef void (*fx_callback)(void *arg);

FX_END_DECLS

#endif
