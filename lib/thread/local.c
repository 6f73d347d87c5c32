/* Thread-locals made at run time.
 *
 * State: a key names a slot (low half, counted from 1) and the use of it that the key belongs to
 *   (high half). A slot holds the key that is valid now, 0 if none; a context's table holds, per
 *   slot, a value and the key it was set under. So a value counts only while both keys are the one
 *   asked for, and deleting a key invalidates its values everywhere at once. A slot whose uses are
 *   all spent is not used again.
 * Owners: slots are written under the lock; a context's table by its own thread alone. */
#include <fxthread/local.h>

#include <errno.h>
#include <string.h>

#include "base/atomic.h"
#include "context/hooks.h"
#include "kernel/lowlock.h"
#include "kernel/signal.h"
#include "libc/alloc.h"
#include "thread/local_values.h"

#define SLOTS_A_CHUNK 1024u
#define CHUNKS 4096u

struct slot {
    fx_local key; /* 0: not in use */
    uint32_t uses;
    uint32_t next_free; /* slot number + 1; 0: none */
    fx_callback destructor;
};

struct entry {
    fx_local key;
    void *value;
};

struct fxi_local_table {
    size_t count;
    struct entry entries[];
};

static struct {
    fxi_lowlock lock;
    uint32_t made;       /* slots that were ever in use */
    uint32_t first_free; /* slot number + 1; 0: none */
    struct slot *chunks[CHUNKS];
} keys;

static struct slot *slot_at(uint32_t number)
{
    /* acquire: pairs with the release in reserve_slot, for the chunk's zeroes */
    struct slot *chunk = fxi_load_acquire(&keys.chunks[number / SLOTS_A_CHUNK]);
    return chunk ? &chunk[number % SLOTS_A_CHUNK] : NULL;
}

static uint32_t number_of(fx_local key)
{
    return (uint32_t)key - 1;
}

/* The slot of a valid key; NULL for any other. */
static struct slot *slot_of(fx_local key)
{
    uint32_t number = number_of(key);
    if ((uint32_t)key == 0 || number >= SLOTS_A_CHUNK * CHUNKS)
        return NULL;
    struct slot *slot = slot_at(number);
    return slot && fxi_load_relaxed(&slot->key) == key ? slot : NULL;
}

static fxi_sigmask lock_keys(void)
{
    fxi_sigmask mask = fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    fxi_lowlock_acquire(&keys.lock);
    return mask;
}

static void unlock_keys(fxi_sigmask mask)
{
    fxi_lowlock_release(&keys.lock);
    fxi_signals_set(mask);
}

/* With the lock held: a slot out of use, and its number. NULL: no memory. */
static struct slot *reserve_slot(uint32_t *number)
{
    struct slot *slot = NULL;
    if (keys.first_free != 0) {
        *number = keys.first_free - 1;
        slot = slot_at(*number);
        keys.first_free = slot->next_free;
        return slot;
    }
    if (keys.made == SLOTS_A_CHUNK * CHUNKS)
        return NULL;
    slot = slot_at(keys.made);
    if (!slot) {
        slot = fxi_alloc(SLOTS_A_CHUNK * sizeof *slot);
        if (!slot)
            return NULL;
        fxi_store_release(&keys.chunks[keys.made / SLOTS_A_CHUNK], slot);
    }
    *number = keys.made++;
    return slot;
}

int fx_local_create(fx_local *key, fx_callback destructor)
{
    if (!key)
        return -EINVAL;
    fxi_sigmask mask = lock_keys();
    uint32_t number;
    struct slot *slot = reserve_slot(&number);
    if (slot) {
        fxi_store_relaxed(&slot->destructor, destructor);
        *key = (fx_local)slot->uses++ << 32 | ((fx_local)number + 1);
        fxi_store_relaxed(&slot->key, *key);
    }
    unlock_keys(mask);
    return slot ? 0 : -ENOMEM;
}

int fx_local_delete(fx_local key)
{
    fxi_sigmask mask = lock_keys();
    struct slot *slot = slot_of(key);
    if (slot) {
        fxi_store_relaxed(&slot->key, 0);
        if (slot->uses != 0) { /* it wrapped: all uses are spent */
            slot->next_free = keys.first_free;
            keys.first_free = number_of(key) + 1;
        }
    }
    unlock_keys(mask);
    return slot ? 0 : -EINVAL;
}

static struct entry *entry_of(struct fxi_context *self, fx_local key)
{
    struct fxi_local_table *table = self->locals;
    uint32_t number = number_of(key);
    return table && number < table->count ? &table->entries[number] : NULL;
}

void *fx_local_get(fx_local key)
{
    struct fxi_context *self = fxi_current;
    if (!self || !slot_of(key))
        return NULL;
    struct entry *entry = entry_of(self, key);
    return entry && entry->key == key ? entry->value : NULL;
}

/* A signal handler that gets values meanwhile sees the old table or the new one. */
static int grow_table(struct fxi_context *self, uint32_t number)
{
    struct fxi_local_table *old = self->locals;
    size_t count = old ? 2 * old->count : 8;
    while (count <= number)
        count *= 2;
    struct fxi_local_table *table = fxi_alloc(sizeof *table + count * sizeof table->entries[0]);
    if (!table)
        return -ENOMEM;
    table->count = count;
    if (old)
        memcpy(table->entries, old->entries, old->count * sizeof old->entries[0]);
    fxi_store_release(&self->locals, table); /* release: filled in first, for such a handler */
    fxi_free(old);
    return 0;
}

int fx_local_set(fx_local key, void *value)
{
    if (!slot_of(key))
        return -EINVAL;
    struct fxi_context *self = fxi_self();
    if (!self)
        return -ENOMEM;
    if (!entry_of(self, key) && value) {
        int rc = grow_table(self, number_of(key));
        if (rc != 0)
            return rc;
    }
    struct entry *entry = entry_of(self, key);
    if (entry)
        *entry = (struct entry){ .key = key, .value = value };
    return 0;
}

bool fxi_local_destroy_round(struct fxi_context *self, fxi_destructor_call call)
{
    bool found = false;
    /* A destructor may make the table grow: it is looked up anew each time. */
    for (size_t i = 0; self->locals && i < self->locals->count; i++) {
        struct entry entry = self->locals->entries[i];
        struct slot *slot = entry.value ? slot_of(entry.key) : NULL;
        self->locals->entries[i].value = NULL;
        fx_callback destructor = slot ? fxi_load_relaxed(&slot->destructor) : NULL;
        if (!destructor)
            continue;
        call(destructor, entry.value);
        found = true;
    }
    return found;
}

void fxi_local_free_table(struct fxi_context *self)
{
    fxi_free(self->locals);
    self->locals = NULL;
}

static void before_fork(void)
{
    fxi_lowlock_acquire(&keys.lock);
}

static void after_fork(bool in_child)
{
    (void)in_child;
    fxi_lowlock_release(&keys.lock);
}

static struct fxi_hooks hooks = { .before_fork = before_fork, .after_fork = after_fork };

FXI_AT_LOAD(FXI_FLOOR_THREAD) static void register_hooks(void)
{
    fxi_hooks_register(&hooks);
}
