/* epoll(7), typed. */
#ifndef FXI_KERNEL_EPOLL_H
#define FXI_KERNEL_EPOLL_H

#include <sys/epoll.h>

#include <fxthread/duration.h>

/* The descriptor; -ENOMEM, -EMFILE, -ENFILE. */
int fxi_epoll_open(void);
void fxi_epoll_close(int epoll);

/* Tells of `events` of the descriptor from now on, with `data`. 0: it was added; 1: it was there already;
 * -EPERM: such files are always ready; -EBADF; -ENOMEM: no memory, or the user's limit. */
int fxi_epoll_set(int epoll, int fd, uint32_t events, uint64_t data);

/* To be called before a descriptor is closed that other processes have, too: for them it would still be
 * watched. */
void fxi_epoll_remove(int epoll, int fd);

/* Tells of no event of the descriptor any more. False: it is not there, or not the file that it was. */
bool fxi_epoll_pause(int epoll, int fd);

/* Sleeps until there are events, of which it tells at most `most`, or the deadline is past, or a signal
 * came. 0, which is in the past, does not sleep. How many. Kernels before 5.11 sleep up to a millisecond
 * longer. */
int fxi_epoll_wait(int epoll, struct epoll_event *events, int most, fx_deadline deadline);

#endif
