/* The reset is the dynamic loader's own making of TLS in a TCB that has been used before, as libc does
 * for the stacks that it caches: the blocks that were allocated lazily are freed, the static ones are
 * written anew from the modules' images, those opened since with static TLS included. What must live
 * on is saved and restored around that. Walking the modules in the ending thread instead
 * (dl_iterate_phdr) was tried: its lock, if some thread holds it at the time of a fork, stays locked
 * in the child for ever, and every end of a thread there would hang. */
#include "libc/tls_reset.h"

#include <errno.h>
#include <link.h>
#include <string.h>

#include "libc/alloc.h"
#include "libc/private.h"

#define KEPT_MOST 4

struct block {
    ptrdiff_t offset; /* from the thread pointer: the same in every thread, as it is static */
    size_t size;
};

static struct {
    unsigned count;
    struct block blocks[KEPT_MOST];
    size_t size; /* of all */
    char *saved;
} kept;

static bool has_code_at(const struct dl_phdr_info *info, uintptr_t address)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD &&
            address - (info->dlpi_addr + header->p_vaddr) < header->p_memsz)
            return true;
    }
    return false;
}

/* libc is the module whose TLS holds errno, the loader the one that makes TLS. */
static int keep_if_libcs(struct dl_phdr_info *info, size_t info_size, void *arg)
{
    (void)info_size;
    (void)arg;
    char *block = info->dlpi_tls_data;
    for (unsigned i = 0; block && i < info->dlpi_phnum; i++) {
        size_t size = info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type != PT_TLS || kept.count == KEPT_MOST)
            continue;
        if ((uintptr_t)&errno - (uintptr_t)block < size ||
            has_code_at(info, (uintptr_t)&_dl_allocate_tls)) {
            kept.blocks[kept.count++] =
                (struct block){ block - (char *)__builtin_thread_pointer(), size };
            kept.size += size;
        }
    }
    return 0;
}

int fxi_tls_reset_prepare(void)
{
    if (kept.saved)
        return 0;
    kept.count = 0;
    kept.size = 0;
    dl_iterate_phdr(keep_if_libcs, NULL);
    kept.saved = fxi_alloc(kept.size);
    return kept.saved ? 0 : -ENOMEM;
}

static void save(const char *thread_pointer)
{
    char *to = kept.saved;
    for (unsigned i = 0; i < kept.count; i++) {
        memcpy(to, thread_pointer + kept.blocks[i].offset, kept.blocks[i].size);
        to += kept.blocks[i].size;
    }
}

static void restore(char *thread_pointer)
{
    const char *from = kept.saved;
    for (unsigned i = 0; i < kept.count; i++) {
        memcpy(thread_pointer + kept.blocks[i].offset, from, kept.blocks[i].size);
        from += kept.blocks[i].size;
    }
}

int fxi_tls_reset(void *thread_pointer, bool *freed)
{
    if (fxi_inject(FXI_INJECT_ALLOC) != 0)
        return -ENOMEM;
    if (!*freed)
        _dl_deallocate_tls(thread_pointer, false);
    save(thread_pointer);
    *freed = _dl_allocate_tls(thread_pointer) == NULL;
    restore(thread_pointer);
    return *freed ? -ENOMEM : 0;
}
