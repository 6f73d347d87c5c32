/* A circular doubly linked list whose nodes live in what they link. */
#ifndef FXI_BASE_LIST_H
#define FXI_BASE_LIST_H

#include "base/compiler.h"

struct fxi_list {
    struct fxi_list *next, *prev;
};

#define FXI_LIST_INIT(head) { &(head), &(head) }

static inline void fxi_list_init(struct fxi_list *head)
{
    head->next = head->prev = head;
}

static inline bool fxi_list_is_empty(const struct fxi_list *head)
{
    return head->next == head;
}

static inline void fxi_list_insert(struct fxi_list *node, struct fxi_list *before, struct fxi_list *after)
{
    node->prev = before;
    node->next = after;
    before->next = node;
    after->prev = node;
}

static inline void fxi_list_push_front(struct fxi_list *head, struct fxi_list *node)
{
    fxi_list_insert(node, head, head->next);
}

static inline void fxi_list_push_back(struct fxi_list *head, struct fxi_list *node)
{
    fxi_list_insert(node, head->prev, head);
}

static inline void fxi_list_remove(struct fxi_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
}

/* The body may not remove `node`. */
#define fxi_list_for_each(node, head) \
    for (struct fxi_list *node = (head)->next; node != (head); node = node->next)

#endif
