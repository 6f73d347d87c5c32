/* How the layout is learned.
 *
 * libc exports descriptors of some fields for debuggers. The others show themselves in the
 * descriptor of an ordinary pthread, the scout, which runs on a stack of ours: its descriptor lies
 * at the top of that stack and can still be read after the join. The scout's stack, its size and
 * its result are values nobody else has, so the words that hold them are the fields looked for; the
 * rest are pointers from the descriptor into itself. Each find is checked, and what does not come
 * out as expected makes the library refuse to start threads (-ENOTSUP) rather than guess.
 *
 * libc's list of threads and its lock have no descriptor of the lock: in the shared libc it lies
 * FXI_STACK_LOCK_OFFSET bytes behind the list's head, which configure has proved by making libc
 * wait for it, and which holds in the releases named below. */
#include "libc/tcb_layout.h"

#include <errno.h>
#include <gnu/libc-version.h>
#include <pthread.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/memory.h"
#include "kernel/signal.h"
#include "libc/private.h"
#include "libc/tls_reset.h"

#define SCOUT_STACK_LEAST ((size_t)256 << 10)
#define SCOUT_STACK_MOST ((size_t)1 << 30)
#define SCOUT_RESULT ((void *)(uintptr_t)0x66787468726561)
#define NOT_FOUND ((size_t)-1)
#define OLDEST_KNOWN_MINOR 34
#define NEWEST_KNOWN_MINOR 42

struct fxi_tcb_layout fxi_tcb_layout;

struct scout {
    char *descriptor;
    struct __res_state *resolver;
    char *first_keys;
};

static void *load_pointer(const char *descriptor, size_t offset)
{
    void *value;
    memcpy(&value, descriptor + offset, sizeof value);
    return value;
}

static void *scout_main(void *arg)
{
    struct scout *scout = arg;
    scout->descriptor = (char *)(uintptr_t)pthread_self();
    scout->resolver = __resp;
    scout->first_keys = load_pointer(scout->descriptor, _thread_db_pthread_specific.offset);
    return SCOUT_RESULT;
}

/* Starts the scout and waits for its end. Signals are blocked, so that no handler of the program's
 * ever runs on it. */
static int send_scout(struct scout *scout, char *stack, size_t stack_size)
{
    pthread_attr_t attr;
    pthread_t thread;
    if (pthread_attr_init(&attr) != 0)
        return -ENOMEM;
    int rc = pthread_attr_setstack(&attr, stack, stack_size);
    if (rc == 0) {
        fxi_sigmask mask = fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
        rc = pthread_create(&thread, &attr, scout_main, scout);
        fxi_signals_set(mask);
    }
    if (rc == 0)
        rc = pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    return -rc;
}

static size_t find_word(const char *descriptor, size_t size, uintptr_t value)
{
    for (size_t offset = 0; offset + sizeof value <= size; offset += sizeof value)
        if ((uintptr_t)load_pointer(descriptor, offset) == value)
            return offset;
    return NOT_FOUND;
}

/* The head of the list of robust mutexes: while the list is empty it points at itself, and the next
 * word is the distance of a mutex's lock from its list entry. (The kernel knows the place as well,
 * but not where get_robust_list(2) is missing, as under qemu-user and Valgrind.) */
static size_t find_robust_head(const char *descriptor, size_t size)
{
    for (size_t offset = 0; offset + 3 * sizeof(void *) <= size; offset += sizeof(void *))
        if (load_pointer(descriptor, offset) == descriptor + offset &&
            (ptrdiff_t)load_pointer(descriptor, offset + sizeof(void *)) == FXI_ROBUST_LOCK_OFFSET)
            return offset;
    return NOT_FOUND;
}

/* The offset in the descriptor of something that it contains; NOT_FOUND if it lies outside. */
static size_t offset_within(const struct scout *scout, const void *inner, size_t inner_size)
{
    size_t offset = (size_t)((uintptr_t)inner - (uintptr_t)scout->descriptor);
    return offset <= fxi_tcb_layout.size && inner_size <= fxi_tcb_layout.size - offset ? offset
                                                                                      : NOT_FOUND;
}

static bool read_scout(const struct scout *scout, const char *stack, size_t stack_size)
{
    struct fxi_tcb_layout *layout = &fxi_tcb_layout;
    const char *descriptor = scout->descriptor;
    if (descriptor < stack || descriptor + layout->size > stack + stack_size)
        return false;
    layout->result = find_word(descriptor, layout->size, (uintptr_t)SCOUT_RESULT);
    layout->stack_base = find_word(descriptor, layout->size, (uintptr_t)stack);
    layout->stack_size = layout->stack_base + sizeof(void *);
    layout->resolver = offset_within(scout, scout->resolver, sizeof *scout->resolver);
    layout->first_keys = offset_within(scout, scout->first_keys, 1);
    layout->robust_head = find_robust_head(descriptor, layout->size);
    if (layout->result == NOT_FOUND || layout->stack_base == NOT_FOUND ||
        layout->resolver == NOT_FOUND || layout->first_keys == NOT_FOUND ||
        layout->robust_head == NOT_FOUND)
        return false;
    size_t before_head = layout->robust_head - sizeof(void *);
    layout->robust_prev =
        load_pointer(descriptor, before_head) == descriptor + layout->robust_head ? before_head : 0;
    memcpy(&layout->ended, descriptor + layout->cancelhandling, sizeof layout->ended);
    return layout->ended != 0 &&
           (size_t)load_pointer(descriptor, layout->stack_size) == stack_size;
}

static bool field_is(struct fxi_libc_field field, uint32_t bits, size_t *offset)
{
    *offset = field.offset;
    return field.bits == bits && field.offset + bits / 8 <= fxi_tcb_layout.size;
}

static bool read_descriptors(void)
{
    struct fxi_tcb_layout *layout = &fxi_tcb_layout;
    layout->size = _thread_db_sizeof_pthread;
    layout->specific = _thread_db_pthread_specific.offset;
    return field_is(_thread_db_pthread_tid, 32, &layout->tid) &&
           field_is(_thread_db_pthread_list, 8 * sizeof(struct fxi_list), &layout->list) &&
           field_is(_thread_db_pthread_cancelhandling, 32, &layout->cancelhandling);
}

static bool lock_offset_is_known(void)
{
#if FXI_STACK_LOCK_PROBED
    if (strcmp(gnu_get_libc_version(), FXI_GLIBC_VERSION) == 0)
        return true;
#endif
    int major = 0, minor = 0;
    return sscanf(gnu_get_libc_version(), "%d.%d", &major, &minor) == 2 && major == 2 &&
           minor >= OLDEST_KNOWN_MINOR && minor <= NEWEST_KNOWN_MINOR;
}

/* Whether this can be a list's head: libc's are circular from the start on, empty or not. */
static bool is_thread_list(const struct fxi_list *head)
{
    return head->next && head->prev && head->next->prev == head && head->prev->next == head;
}

static void find_thread_list(void)
{
    struct fxi_tcb_layout *layout = &fxi_tcb_layout;
    struct fxi_list *head = NULL;
    fxi_lowlock *lock = NULL;
    if (&_dl_stack_user && &_dl_stack_cache_lock) {
        head = &_dl_stack_user;
        lock = &_dl_stack_cache_lock;
    } else if (&__nptl_rtld_global && &_thread_db_rtld_global__dl_stack_user &&
               lock_offset_is_known()) {
        char *address = __nptl_rtld_global + _thread_db_rtld_global__dl_stack_user.offset;
        head = (struct fxi_list *)(void *)address;
        lock = (fxi_lowlock *)(void *)(address + FXI_STACK_LOCK_OFFSET);
    }
    if (head && is_thread_list(head) && fxi_load_relaxed(lock) <= 2) {
        layout->threads = head;
        layout->threads_lock = lock;
    }
}

static int explore(size_t stack_size)
{
    char *stack = fxi_pages_map(stack_size);
    if (!stack)
        return -ENOMEM;
    struct scout scout = { 0 };
    int rc = send_scout(&scout, stack, stack_size);
    if (rc == 0 && !read_scout(&scout, stack, stack_size))
        rc = -ENOTSUP;
    fxi_pages_unmap(stack, stack_size);
    return rc;
}

int fxi_tcb_layout_learn(void)
{
    static bool learned;
    if (learned)
        return 0;
    if (!read_descriptors())
        return -ENOTSUP;
    /* -EINVAL: the stack has no room for the TLS of the program's modules. */
    int rc = -EINVAL;
    for (size_t size = SCOUT_STACK_LEAST; rc == -EINVAL && size <= SCOUT_STACK_MOST; size *= 4)
        rc = explore(size);
    if (rc != 0)
        return rc == -EINVAL ? -ENOTSUP : rc;
    rc = fxi_tls_reset_prepare();
    if (rc != 0)
        return rc;
    find_thread_list();
    learned = true;
    return 0;
}
