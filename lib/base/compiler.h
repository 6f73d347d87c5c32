/* Words for the compiler that C11 lacks. */
#ifndef FXI_BASE_COMPILER_H
#define FXI_BASE_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define fxi_likely(x) __builtin_expect(!!(x), 1)
#define fxi_unlikely(x) __builtin_expect(!!(x), 0)

#define FXI_COLD __attribute__((cold, noinline))
#define FXI_NOINLINE __attribute__((noinline))
#define FXI_RETURNS_TWICE __attribute__((returns_twice))
#define FXI_WEAK __attribute__((weak))
#define FXI_CACHE_LINE 64

/* The struct of type `type` whose field `field` is at `pointer`. */
#define fxi_container_of(pointer, type, field) \
    ((type *)(void *)((char *)(pointer) - offsetof(type, field)))

#endif
