/* Compiled without unwind tables: what the program was linked with that nobody can walk through. */
#define WITHOUT_TABLES
#include "module_loop.c"
