/* Known at load: where the program's executable segments lie, and where this library's do. Objects that
 * opt in are added and never taken away: each stays loaded. What reads the table in a signal handler
 * sees an entry whole or not at all, as the count is raised last. */
#include "stop/own.h"

#include <link.h>
#include <sys/auxv.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "context/hooks.h"

#define RANGES_MOST (FXI_OBJECTS_MOST + 8) /* most objects have one executable segment */
#define ENTRY_BYTES 96

struct range {
    uintptr_t begin, end;
};

static struct {
    struct range program[RANGES_MOST];
    unsigned program_count;
    struct range library;
    uintptr_t entry;
    bool has_interpreter;
} code;

/* The ELF header of the object that this file was linked into; hidden, so that it is that one's. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* Bounds of the section that holds this library's code where it was linked into the program; the
 * linker defines them where there is such a section. */
extern const char __start_fxthread_text[] __attribute__((weak, visibility("hidden")));
extern const char __stop_fxthread_text[] __attribute__((weak, visibility("hidden")));
static const char *const volatile text_begin = __start_fxthread_text; /* NULL: there is none */
static const char *const volatile text_end = __stop_fxthread_text;

static bool contains(struct range range, uintptr_t pc)
{
    return pc - range.begin < range.end - range.begin;
}

bool fxi_code_add(const ElfW(Phdr) *headers, unsigned n, uintptr_t bias)
{
    unsigned count = code.program_count;
    for (unsigned i = 0; i < n; i++) {
        if (headers[i].p_type != PT_LOAD || !(headers[i].p_flags & PF_X))
            continue;
        if (count == RANGES_MOST)
            return false;
        uintptr_t begin = bias + headers[i].p_vaddr;
        code.program[count++] = (struct range){ begin, begin + headers[i].p_memsz };
    }
    /* release: pairs with the acquire in fxi_code_at */
    fxi_store_release(&code.program_count, count);
    return true;
}

static void find_program(void)
{
    const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
    unsigned n = (unsigned)getauxval(AT_PHNUM);
    uintptr_t bias = 0;
    for (unsigned i = 0; headers && i < n; i++) {
        if (headers[i].p_type == PT_PHDR)
            bias = (uintptr_t)headers - headers[i].p_vaddr;
        code.has_interpreter |= headers[i].p_type == PT_INTERP;
    }
    code.entry = getauxval(AT_ENTRY);
    if (headers)
        fxi_code_add(headers, n, bias);
}

static void find_library(void)
{
    uintptr_t header = (uintptr_t)&__ehdr_start;
    const ElfW(Phdr) *headers = (const void *)(header + __ehdr_start.e_phoff);
    uintptr_t lowest = UINTPTR_MAX;
    for (unsigned i = 0; i < __ehdr_start.e_phnum; i++)
        if (headers[i].p_type == PT_LOAD && headers[i].p_vaddr < lowest)
            lowest = headers[i].p_vaddr;
    for (unsigned i = 0; i < __ehdr_start.e_phnum; i++) {
        uintptr_t begin = header - lowest + headers[i].p_vaddr;
        struct range range = { begin, begin + headers[i].p_memsz };
        if (headers[i].p_type == PT_LOAD && (headers[i].p_flags & PF_X) &&
            contains(range, (uintptr_t)fxi_code_at))
            code.library = range;
    }
    if (text_begin)
        code.library = (struct range){ (uintptr_t)text_begin, (uintptr_t)text_end };
}

FXI_AT_LOAD(FXI_FLOOR_STOP) static void find_code(void)
{
    find_program();
    find_library();
}

enum fxi_code fxi_code_at(uintptr_t pc)
{
    if (contains(code.library, pc))
        return FXI_CODE_LIBRARY;
    unsigned count = fxi_load_acquire(&code.program_count); /* acquire: pairs with fxi_code_add */
    for (unsigned i = 0; i < count; i++)
        if (contains(code.program[i], pc))
            return FXI_CODE_PROGRAM;
    return FXI_CODE_FOREIGN;
}

bool fxi_code_is_told(void)
{
    return code.has_interpreter &&
           (text_begin || !contains(code.program[0], code.library.begin));
}

bool fxi_code_is_entry(uintptr_t pc)
{
    return pc - code.entry < ENTRY_BYTES;
}
