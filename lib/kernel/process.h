/* Processes, the descriptors that stand for them, and channels between them. All descriptors made
 * here are closed on exec; no call is a point at which a thread is cancelled. */
#ifndef FXI_KERNEL_PROCESS_H
#define FXI_KERNEL_PROCESS_H

#include <fxthread/duration.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A descriptor of a process, readable when that has ended. Or -ESRCH, -EMFILE, -ENFILE, -ENOMEM. */
int fxi_process_open(pid_t pid);

/* 0; -ESRCH: it has ended; -EPERM: it has kept rights that the caller has given up. Never reaches
 * another process that has got its number. */
int fxi_process_signal(int process, int number);
/* The same of a child that is not reaped, by its number. */
void fxi_process_signal_child(pid_t pid, int number);

/* libc's fork(), with its handlers. The pid, 0 in the child, or -EAGAIN or -ENOMEM. */
pid_t fxi_process_fork(void);

/* Waits for a child and reaps it: its status as waitpid(2) tells it, or -1: somebody else has. */
int fxi_process_reap(pid_t pid);

/* Whether it has ended; and if so, reaps it, where it is a child of this process. */
bool fxi_process_has_ended(int process);
void fxi_process_reap_own(int process);

_Noreturn void fxi_process_exit(int status);

/* A descriptor that is readable when a child may have been stopped, in a process that blocks
 * SIGCHLD and has not changed what that does. Or -EMFILE, -ENFILE, -ENOMEM. And: a child that was
 * stopped, of which this was not told yet; 0: none. */
int fxi_stops_new(void);
pid_t fxi_stops_next(int stops);

/* In a process with one thread: closes all descriptors but those, which become 3 and so on in their
 * order (-1 stays that), and 0 to 2, if they outlive an exec. */
#define FXI_DESCRIPTORS_KEPT_MOST 8
void fxi_descriptors_keep(int *kept, int n);

/* A descriptor that counts: readable when it was added to. Or -EMFILE, -ENFILE, -ENOMEM. */
int fxi_counter_new(void);
int fxi_counter_add(int counter); /* 0, or -EBADF: it was closed */

/* Gives it a number so high that whoever closes all descriptors and opens some will not meet it soon.
 * The number, or the old one. */
int fxi_counter_raise(int counter);

/* What waits for several descriptors; the events are those of epoll. */
struct epoll_event;
int fxi_watcher_new(void);                                  /* or -EMFILE, -ENFILE, -ENOMEM */
int fxi_watcher_add(int watcher, int descriptor, uint32_t events, void *data); /* 0, -ENOMEM */
void fxi_watcher_change(int watcher, int descriptor, uint32_t events, void *data);
void fxi_watcher_remove(int watcher, int descriptor);
/* How many events were stored; 0: the deadline is past. */
int fxi_watcher_wait(int watcher, struct epoll_event *events, int n, fx_deadline deadline);

/* Two ends of a channel of messages, which neither blocks. 0, or -EMFILE, -ENFILE, -ENOMEM. */
int fxi_channel_new(int ends[2]);

#define FXI_CHANNEL_DESCRIPTORS_MOST 4

/* Sends a message, with descriptors. 0; -EAGAIN: the other end has to take some first; -EPIPE: it
 * is gone. */
int fxi_channel_send(int channel, const void *message, size_t size, const int *descriptors, int n);

/* Receives one, with at most *n descriptors, of which *n becomes the number. Its size; 0: the other
 * end is gone; -EAGAIN: there is none. Descriptors for which there is no room are closed, or, at
 * the limit of the process, are not there. */
int fxi_channel_receive(int channel, void *message, size_t size, int *descriptors, int *n);

/* Waits until something can be received, or the other end is gone; or a process has ended. */
void fxi_descriptor_await(int descriptor);
void fxi_descriptor_await_room(int descriptor); /* until something can be sent */

void fxi_descriptor_close(int descriptor); /* -1: nothing */

#endif
