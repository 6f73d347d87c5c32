/* Operations that the program describes itself.
 *
 * A worker shares its ring among all requests, and answers one future by one completion. So what an
 * entry may not be: about other entries or about what is registered with a ring, or one with
 * several completions, or none. */
#include <errno.h>
#include <stdint.h>

#include <fxthread/io.h>

#include "executor/io.h"

#define FLAGS_REFUSED (IOSQE_FIXED_FILE | IOSQE_IO_DRAIN | IOSQE_IO_LINK | IOSQE_IO_HARDLINK | \
                       IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS)

#define MULTISHOT_ACCEPT 1u /* IORING_ACCEPT_MULTISHOT, in `ioprio` */
#define MULTISHOT_RECV 2u   /* IORING_RECV_MULTISHOT, in `ioprio` */
#define MULTISHOT_TIMEOUT 64u /* IORING_TIMEOUT_MULTISHOT, in `timeout_flags` */

/* The operations that complete once; the last ones by number, as headers may be older. */
static const uint64_t single =
    1ull << IORING_OP_NOP | 1ull << IORING_OP_READV | 1ull << IORING_OP_WRITEV |
    1ull << IORING_OP_FSYNC | 1ull << IORING_OP_POLL_ADD | 1ull << IORING_OP_SYNC_FILE_RANGE |
    1ull << IORING_OP_SENDMSG | 1ull << IORING_OP_RECVMSG | 1ull << IORING_OP_TIMEOUT |
    1ull << IORING_OP_ACCEPT | 1ull << IORING_OP_CONNECT | 1ull << IORING_OP_FALLOCATE |
    1ull << IORING_OP_OPENAT | 1ull << IORING_OP_CLOSE | 1ull << IORING_OP_STATX |
    1ull << IORING_OP_READ | 1ull << IORING_OP_WRITE | 1ull << IORING_OP_FADVISE |
    1ull << IORING_OP_MADVISE | 1ull << IORING_OP_SEND | 1ull << IORING_OP_RECV |
    1ull << IORING_OP_OPENAT2 | 1ull << IORING_OP_EPOLL_CTL | 1ull << IORING_OP_SPLICE |
    1ull << IORING_OP_TEE | 1ull << IORING_OP_SHUTDOWN | 1ull << IORING_OP_RENAMEAT |
    1ull << IORING_OP_UNLINKAT | 1ull << IORING_OP_MKDIRAT | 1ull << IORING_OP_SYMLINKAT |
    1ull << IORING_OP_LINKAT | 1ull << 41 /* FSETXATTR */ | 1ull << 42 /* SETXATTR */ |
    1ull << 43 /* FGETXATTR */ | 1ull << 44 /* GETXATTR */ | 1ull << 45 /* SOCKET */ |
    1ull << 46 /* URING_CMD */ | 1ull << 50 /* WAITID */ | 1ull << 51 /* FUTEX_WAIT */ |
    1ull << 52 /* FUTEX_WAKE */ | 1ull << 53 /* FUTEX_WAITV */ | 1ull << 55 /* FTRUNCATE */ |
    1ull << 56 /* BIND */ | 1ull << 57 /* LISTEN */ | 1ull << 59 /* EPOLL_WAIT */;

static bool is_multishot(const struct io_uring_sqe *entry)
{
    switch (entry->opcode) {
    case IORING_OP_POLL_ADD:
        return entry->len != 0; /* IORING_POLL_ADD_MULTI, and updates of others */
    case IORING_OP_ACCEPT:
        return entry->ioprio & MULTISHOT_ACCEPT;
    case IORING_OP_RECV:
    case IORING_OP_RECVMSG:
        return entry->ioprio & MULTISHOT_RECV;
    case IORING_OP_TIMEOUT:
        return entry->timeout_flags & MULTISHOT_TIMEOUT;
    default:
        return false;
    }
}

/* Places in a ring's own table of files: the epoll backend would take what else the entry says for a
 * descriptor of the program's. */
static bool has_fixed_file(const struct io_uring_sqe *entry)
{
    switch (entry->opcode) {
    case IORING_OP_ACCEPT:
    case IORING_OP_OPENAT:
    case IORING_OP_OPENAT2:
    case IORING_OP_CLOSE:
    case 45: /* SOCKET */
        return entry->file_index != 0;
    case IORING_OP_SPLICE:
    case IORING_OP_TEE:
        return entry->splice_flags & SPLICE_F_FD_IN_FIXED;
    default:
        return false;
    }
}

static bool is_single(const struct io_uring_sqe *entry)
{
    return entry->opcode < 64 && (single >> entry->opcode & 1) && !(entry->flags & FLAGS_REFUSED) &&
           !is_multishot(entry) && !has_fixed_file(entry);
}

fx_future *fx_async_request(fx_executor *executor, const struct io_uring_sqe *request)
{
    if (request && is_single(request))
        return fxi_io_submit(executor, request);
    errno = EINVAL;
    return NULL;
}
