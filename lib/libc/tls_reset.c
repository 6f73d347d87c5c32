#include "libc/tls_reset.h"

#include <errno.h>
#include <link.h>
#include <string.h>

#include "libc/private.h"

/* Addresses that tell the modules to spare. */
struct module_search {
    uintptr_t libc_variable;
    uintptr_t loader_code;
};

static bool has_code_at(const struct dl_phdr_info *info, uintptr_t address)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD && address - (info->dlpi_addr + header->p_vaddr) < header->p_memsz)
            return true;
    }
    return false;
}

/* The thread's block of a module with static TLS that its table of blocks (the DTV) does not show
 * yet: a module that was dlopened later, and whose variables are reached without the table. Where it
 * lies says the module's link map. NULL: the module has no such block. */
static char *static_block(const struct dl_phdr_info *info)
{
#if __GLIBC_PREREQ(2, 35)
    struct dl_find_object found;
    if (!&_dl_find_object || !&_thread_db_link_map_l_tls_offset ||
        _dl_find_object((void *)info->dlpi_phdr, &found) != 0)
        return NULL;
    ptrdiff_t offset;
    memcpy(&offset, (char *)found.dlfo_link_map + _thread_db_link_map_l_tls_offset.offset,
           sizeof offset);
    if (offset <= 0) /* not placed, or placed dynamically for good */
        return NULL;
    char *thread_pointer = __builtin_thread_pointer();
#if defined __x86_64__
    return thread_pointer - offset;
#else
    return thread_pointer + offset;
#endif
#else
    (void)info; /* TLS of modules that are dlopened with static TLS is not reset on such a libc */
    return NULL;
#endif
}

static int reset_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    const struct module_search *spare = arg;
    (void)size;
    if (info->dlpi_tls_modid == 0)
        return 0;
    char *block = info->dlpi_tls_data ? info->dlpi_tls_data : static_block(info);
    if (!block)
        return 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_TLS)
            continue;
        if (spare->libc_variable - (uintptr_t)block < header->p_memsz ||
            has_code_at(info, spare->loader_code))
            return 0;
        memcpy(block, (void *)(info->dlpi_addr + header->p_vaddr), header->p_filesz);
        memset(block + header->p_filesz, 0, header->p_memsz - header->p_filesz);
        return 0;
    }
    return 0;
}

/* Back to the modules' images: statically placed blocks, and of the lazily allocated ones those that
 * this thread has. */
void fxi_tls_reset_modules(void)
{
    struct module_search spare = { (uintptr_t)&errno, (uintptr_t)&_dl_allocate_tls };
    dl_iterate_phdr(reset_module, &spare);
}
