/* Spinning, for the floors above: how many processors there are, and one turn of the loop. */
#ifndef FXI_PARK_SPIN_H
#define FXI_PARK_SPIN_H

#include "kernel/processor.h"

#endif
