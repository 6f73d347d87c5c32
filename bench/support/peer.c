#include "bench/support/peer.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Whether the comma-separated `list` holds `name`, which is `length` bytes long. */
static bool lists(const char *list, const char *name, size_t length)
{
    for (const char *item = list; *item;) {
        size_t n = strcspn(item, ",");
        if (n == length && memcmp(item, name, n) == 0)
            return true;
        item += n + (item[n] == ',');
    }
    return false;
}

static bool known(const struct bench_peer *const *all, size_t n, const char *name, size_t length)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(all[i]->name) == length && memcmp(all[i]->name, name, length) == 0)
            return true;
    return false;
}

size_t bench_peers_select(const struct bench_peer *const *all, size_t n, const char *names,
                          const struct bench_peer **out)
{
    bool every = strcmp(names, "all") == 0;
    for (const char *item = names; !every && *item;) {
        size_t length = strcspn(item, ",");
        if (!known(all, n, item, length)) {
            fprintf(stderr, "no such peer here: %.*s; there are:", (int)length, item);
            for (size_t i = 0; i < n; i++)
                fprintf(stderr, " %s", all[i]->name);
            fputc('\n', stderr);
            return 0;
        }
        item += length + (item[length] == ',');
    }
    size_t selected = 0;
    for (size_t i = 0; i < n; i++)
        if (every || lists(names, all[i]->name, strlen(all[i]->name)))
            out[selected++] = all[i];
    if (selected == 0)
        fputs("no peer was named\n", stderr);
    return selected;
}
