/* What is done with descriptors of any kind. No call is a point at which a thread is cancelled. */
#ifndef FXI_KERNEL_DESCRIPTOR_H
#define FXI_KERNEL_DESCRIPTOR_H

void fxi_descriptor_close(int descriptor); /* -1: nothing */

/* Gives a descriptor a number so high that whoever closes all of them and opens some will not meet it
 * soon. The number, or the old one. */
int fxi_descriptor_raise(int descriptor);

/* In a process with one thread: closes all descriptors but those, which become 3 and so on in their
 * order (-1 stays that), and 0 to 2, if they outlive an exec. */
void fxi_descriptors_keep(int *kept, int n);

/* Waits until something can be received from it, or its other end is gone; or, of a process, it has
 * ended. */
void fxi_descriptor_await(int descriptor);
void fxi_descriptor_await_room(int descriptor); /* until something can be sent */

#endif
