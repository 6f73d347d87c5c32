/* A peer: one implementation of what a benchmark measures.
 *
 * A benchmark of a concept defines in bench/peers/<concept>.h a struct whose first member is a
 * struct bench_peer and whose others are the functions measured. Each peer fills in one such struct
 * in a file of its own, bench/peers/<concept>_<name>.c or .cc, so that only that file is compiled
 * with the peer's headers and, where they are C++, as C++. */
#ifndef BENCH_SUPPORT_PEER_H
#define BENCH_SUPPORT_PEER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bench_peer {
    const char *name; /* as --peer takes it: no spaces, no commas */
    const char *what; /* shown under the tables; NULL where the name says enough */
};

/* The name of the peer that the goals are about. */
#define BENCH_SUBJECT "fxthread"

/* Stores at `out`, in the order of `all`, the peers that `names` lists ("all", or names separated
 * by commas), and returns how many. 0, and a line on stderr, where a name is not among them. */
size_t bench_peers_select(const struct bench_peer *const *all, size_t n, const char *names,
                          const struct bench_peer **out);

#ifdef __cplusplus
}
#endif

#endif
