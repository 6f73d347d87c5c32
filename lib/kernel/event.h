/* eventfd(2): a descriptor by which one who sleeps among descriptors is woken. */
#ifndef FXI_KERNEL_EVENT_H
#define FXI_KERNEL_EVENT_H

#include <stdbool.h>

/* The descriptor; -ENOMEM, -EMFILE, -ENFILE. */
int fxi_event_open(void);
void fxi_event_close(int event);

/* Makes it readable, and wakes whoever waits for that, each time. It is never read, so that this happens
 * at the edges only. False: it was closed. Signal-safe. */
bool fxi_event_set(int event);

#endif
