/* The end of the program where memory is already corrupt, and nowhere else. */
#ifndef FXI_BASE_PANIC_H
#define FXI_BASE_PANIC_H

#include "base/compiler.h"

/* Writes "fxthread: <what>" to stderr and aborts. Signal-safe. */
_Noreturn void fxi_panic(const char *what);

#endif
