/* Whose code an address is. */
#ifndef FXI_STOP_OWN_H
#define FXI_STOP_OWN_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

#define FXI_OBJECTS_MOST 32 /* that may opt in */

enum fxi_code {
    FXI_CODE_PROGRAM, /* of the program, or of an object that opted in */
    FXI_CODE_LIBRARY, /* this library's */
    FXI_CODE_FOREIGN  /* libc, the loader, any other object, or nothing known */
};

/* Signal-safe, as are the others but one. */
enum fxi_code fxi_code_at(uintptr_t pc);

/* Whether the addresses of a process tell whose code they are: not in a wholly static one, nor where
 * this library is a part of the program's own code without bounds. */
bool fxi_code_is_told(void);

/* The executable segments of an object count as the program's from here on; false, and nothing changed,
 * where there is no room. One caller at a time; not signal-safe. */
bool fxi_code_add(const ElfW(Phdr) *headers, unsigned n, uintptr_t bias);

/* Whether the address lies in the program's first function, which calls libc's, which calls main. */
bool fxi_code_is_entry(uintptr_t pc);

#endif
