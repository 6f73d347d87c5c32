/* The barrier of kernel/membarrier.h, for the floors above. */
#ifndef FXI_PARK_FENCE_H
#define FXI_PARK_FENCE_H

#include "kernel/membarrier.h"

#endif
