#include "executor/process_function.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <string.h>

#include "base/atomic.h"
#include "kernel/lowlock.h"
#include "libc/alloc.h"

struct object {
    uintptr_t begin, end, bias;
    uint64_t fingerprint;
};

/* What the fork server has. `version` is the loader's count of what it has loaded and unloaded when
 * all of them were last seen to be as they were; while it stands there, none has changed. */
static struct {
    fxi_lowlock lock;
    struct object *objects;
    size_t count;
    uint64_t version;
} shared;

/* --- one object ------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
    return hash;
}

/* Notes that are loaded are readable, as they lie in a segment. */
static uint64_t fingerprint_of(const struct dl_phdr_info *info)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    hash = mix(hash, info->dlpi_phdr, info->dlpi_phnum * sizeof *info->dlpi_phdr);
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_NOTE)
            hash = mix(hash, (const void *)(info->dlpi_addr + header->p_vaddr), header->p_memsz);
    }
    return hash;
}

static struct object describe(const struct dl_phdr_info *info)
{
    struct object object = { .begin = UINTPTR_MAX, .bias = info->dlpi_addr };
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + header->p_vaddr;
        if (header->p_type != PT_LOAD)
            continue;
        object.begin = begin < object.begin ? begin : object.begin;
        object.end = begin + header->p_memsz > object.end ? begin + header->p_memsz : object.end;
    }
    return object;
}

static bool covers(const struct object *object, uintptr_t address)
{
    return address >= object->begin && address < object->end;
}

static bool is_same(const struct object *a, const struct object *b)
{
    return a->begin == b->begin && a->end == b->end && a->bias == b->bias &&
           a->fingerprint == b->fingerprint;
}

/* The object that covers an address. */
struct search {
    uintptr_t address;
    struct object found;
    const char *path;
    uint64_t version;
};

static uint64_t version_of(const struct dl_phdr_info *info)
{
    return info->dlpi_adds + info->dlpi_subs;
}

static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *search = arg;
    struct object object = describe(info);
    (void)size;
    search->version = version_of(info);
    if (!covers(&object, search->address))
        return 0;
    object.fingerprint = fingerprint_of(info);
    search->found = object;
    search->path = info->dlpi_name;
    return 1;
}

static int read_version(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    *(uint64_t *)arg = version_of(info);
    return 1;
}

static uint64_t present_version(void)
{
    uint64_t version = 0;
    dl_iterate_phdr(read_version, &version);
    return version;
}

/* --- what the fork server has ----------------------------------------------------------------- */

struct listing {
    struct object *objects;
    size_t count, room;
    uint64_t version;
};

static int enter(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct listing *listing = arg;
    (void)size;
    listing->version = version_of(info);
    if (listing->count < listing->room) {
        listing->objects[listing->count] = describe(info);
        listing->objects[listing->count].fingerprint = fingerprint_of(info);
    }
    listing->count++;
    return 0;
}

static int list_objects(struct listing *listing)
{
    *listing = (struct listing){ 0 };
    do {
        fxi_free(listing->objects);
        listing->room = listing->count + 8;
        listing->objects = fxi_alloc(listing->room * sizeof *listing->objects);
        listing->count = 0;
        if (!listing->objects)
            return -ENOMEM;
        dl_iterate_phdr(enter, listing);
    } while (listing->count > listing->room);
    return 0;
}

/* What is loaded or unloaded before the fork, by another thread, changes the version. */
int fxi_functions_list(void)
{
    struct listing listing;
    int rc = list_objects(&listing);
    if (rc != 0)
        return rc;
    fxi_lowlock_acquire(&shared.lock);
    struct object *former = shared.objects;
    shared.objects = listing.objects;
    shared.count = listing.count;
    shared.version = listing.version;
    fxi_lowlock_release(&shared.lock);
    fxi_free(former);
    return 0;
}

/* The program itself, which the loader lists first, is never unloaded. */
static bool is_of_program(uintptr_t address)
{
    return shared.count > 0 && covers(&shared.objects[0], address);
}

/* Whether the server has the object at that address. */
static bool server_has(uintptr_t address)
{
    struct search search = { .address = address };
    bool is_current = present_version() == shared.version;
    for (size_t i = 0; i < shared.count; i++) {
        if (!covers(&shared.objects[i], address))
            continue;
        if (is_current)
            return true;
        return dl_iterate_phdr(look, &search) && is_same(&search.found, &shared.objects[i]);
    }
    return false;
}

/* --- what it has not -------------------------------------------------------------------------- */

static const struct fxi_late_object *find_entry(const struct fxi_late_objects *late,
                                                uintptr_t address)
{
    uint32_t count = fxi_load_acquire(&late->count); /* acquire: pairs with enter_late */
    for (uint32_t i = count < FXI_LATE_OBJECTS_MOST ? count : FXI_LATE_OBJECTS_MOST; i-- > 0;)
        if (address >= late->entries[i].begin && address < late->entries[i].end)
            return &late->entries[i];
    return NULL;
}

/* An object of the server's is entered where another one was, in the meantime, at its place. */
static int enter_late(struct fxi_late_objects *late, uintptr_t address, bool server_has_it)
{
    struct search search = { .address = address };
    char path[PATH_MAX] = "";
    if (!dl_iterate_phdr(look, &search) || !search.path ||
        (!server_has_it && !realpath(search.path, path)) || strlen(path) >= FXI_OBJECT_PATH_BYTES)
        return -ENOTSUP;
    const struct fxi_late_object *known = find_entry(late, address);
    if (known && known->fingerprint == search.found.fingerprint && known->bias == search.found.bias &&
        known->begin == search.found.begin)
        return 0;
    uint32_t count = late->count;
    if (count >= FXI_LATE_OBJECTS_MOST)
        return -ENOTSUP;
    struct fxi_late_object *entry = &late->entries[count];
    entry->begin = search.found.begin;
    entry->end = search.found.end;
    entry->bias = search.found.bias;
    entry->fingerprint = search.found.fingerprint;
    strcpy(entry->path, path);
    fxi_store_release(&late->count, count + 1); /* pairs with the acquire in find_entry */
    return 0;
}

int fxi_function_offer(struct fxi_late_objects *late, uintptr_t address)
{
    fxi_lowlock_acquire(&shared.lock);
    int rc = 0;
    if (!is_of_program(address)) {
        bool server_has_it = server_has(address);
        if (!server_has_it || find_entry(late, address))
            rc = enter_late(late, address, server_has_it);
    }
    fxi_lowlock_release(&shared.lock);
    return rc;
}

/* --- in a worker ------------------------------------------------------------------------------ */

/* What the worker has loaded so far; it has one thread that asks. */
static struct {
    bool is_tried;
    bool is_there;
    uintptr_t bias;
} loaded[FXI_LATE_OBJECTS_MOST];

struct wanted {
    uintptr_t bias;
    uint64_t fingerprint;
};

static int compare(struct dl_phdr_info *info, size_t size, void *arg)
{
    const struct wanted *wanted = arg;
    (void)size;
    return info->dlpi_addr == wanted->bias && fingerprint_of(info) == wanted->fingerprint;
}

static bool load(const struct fxi_late_object *entry, uintptr_t *bias)
{
    struct link_map *map = NULL;
    void *handle = dlopen(entry->path, RTLD_NOW);
    if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0)
        return false;
    *bias = map->l_addr;
    struct wanted wanted = { *bias, entry->fingerprint };
    return dl_iterate_phdr(compare, &wanted) != 0;
}

void fxi_functions_forget(void)
{
    memset(loaded, 0, sizeof loaded);
}

void *fxi_function_here(const struct fxi_late_objects *late, uintptr_t address)
{
    const struct fxi_late_object *entry = late ? find_entry(late, address) : NULL;
    if (!entry || !entry->path[0])
        return (void *)address;
    size_t number = (size_t)(entry - late->entries);
    if (!loaded[number].is_tried) {
        loaded[number].is_tried = true;
        loaded[number].is_there = load(entry, &loaded[number].bias);
    }
    return loaded[number].is_there ? (void *)(address - entry->bias + loaded[number].bias) : NULL;
}

void fxi_functions_lock(void)
{
    fxi_lowlock_acquire(&shared.lock);
}

void fxi_functions_unlock(void)
{
    fxi_lowlock_release(&shared.lock);
}
