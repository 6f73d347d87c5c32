/* Objects that opt in to being stopped at any instruction. */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>

#include <fxthread/stop.h>

#include "context/registry.h"
#include "stop/own.h"

static unsigned objects; /* guarded by the registry's lock, for which a fork waits */

struct search {
    uintptr_t address;
    const ElfW(Phdr) *headers;
    unsigned n;
    uintptr_t bias;
};

static bool covers(const struct dl_phdr_info *info, uintptr_t address)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD &&
            address - (info->dlpi_addr + header->p_vaddr) < header->p_memsz)
            return true;
    }
    return false;
}

static int find_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *search = arg;
    (void)size;
    if (!covers(info, search->address))
        return 0;
    search->headers = info->dlpi_phdr;
    search->n = info->dlpi_phnum;
    search->bias = info->dlpi_addr;
    return 1;
}

/* Of libc, the loader and this library an object has one of these. */
static bool has_reserved(const struct search *search)
{
    const struct dl_phdr_info info = { .dlpi_addr = search->bias,
                                       .dlpi_phdr = search->headers,
                                       .dlpi_phnum = (ElfW(Half))search->n };
    const void *libc = dlsym(RTLD_DEFAULT, "gnu_get_libc_version");
    const void *loader = dlsym(RTLD_DEFAULT, "_dl_find_object");
    return covers(&info, (uintptr_t)libc) || covers(&info, (uintptr_t)loader) ||
           covers(&info, (uintptr_t)fx_stop_allow_object);
}

int fx_stop_allow_object(const void *address)
{
    struct search search = { .address = (uintptr_t)address };
    if (!address || dl_iterate_phdr(find_object, &search) == 0)
        return -EINVAL;
    if (fxi_code_at(search.address) == FXI_CODE_PROGRAM)
        return 0;
    Dl_info object;
    if (has_reserved(&search) || dladdr(address, &object) == 0)
        return -EINVAL;
    if (!dlopen(object.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE))
        return -ENOMEM;
    fxi_sigmask mask = fxi_registry_lock();
    int rc = 0;
    if (fxi_code_at(search.address) != FXI_CODE_PROGRAM) {
        rc = objects < FXI_OBJECTS_MOST && fxi_code_add(search.headers, search.n, search.bias)
                 ? 0
                 : -ENOSPC;
        objects += rc == 0;
    }
    fxi_registry_unlock(mask);
    return rc;
}
