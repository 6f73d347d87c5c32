/* Processes, and the descriptors that stand for them, which are closed on exec. No call is a point at
 * which a thread is cancelled. */
#ifndef FXI_KERNEL_PROCESS_H
#define FXI_KERNEL_PROCESS_H

#include <stdbool.h>
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

/* Whether that is what the calling thread is in; for those handlers. */
bool fxi_process_is_forking(void);

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

#endif
