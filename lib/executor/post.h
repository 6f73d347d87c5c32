/* Something for a worker, sent by another thread: a link of the worker's inbox, which lies in what is
 * sent, so that to send allocates nothing. */
#ifndef FXI_EXECUTOR_POST_H
#define FXI_EXECUTOR_POST_H

struct fxi_post {
    struct fxi_post *next;
    /* In the worker's loop: it is out of the inbox by then, and may be sent again, or be gone. */
    void (*arrive)(struct fxi_post *post);
};

#endif
