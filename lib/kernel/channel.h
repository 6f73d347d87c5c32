/* Channels of messages between processes, which carry descriptors as well. Theirs are closed on exec; no
 * call is a point at which a thread is cancelled. */
#ifndef FXI_KERNEL_CHANNEL_H
#define FXI_KERNEL_CHANNEL_H

#include <stddef.h>

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

#endif
