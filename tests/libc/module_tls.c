/* A module with thread-locals, built twice: with the model that dlopen()ed modules usually have,
 * and with the initial-exec model, which puts them into each thread's static TLS. */
#include "module_tls.h"

static int anchor;
static _Thread_local int zeroed[4];
static _Thread_local int initialised[3] = {1, 22, 333};
static _Thread_local int *relocated = &anchor; /* the image itself needs relocation */

int module_is_initial(void)
{
    for (int i = 0; i < 4; i++)
        if (zeroed[i])
            return 0;
    return initialised[0] == 1 && initialised[1] == 22 && initialised[2] == 333
           && relocated == &anchor;
}

void module_set(int value)
{
    for (int i = 0; i < 4; i++)
        zeroed[i] = value;
    initialised[0] = initialised[1] = initialised[2] = value;
    relocated = zeroed;
}

int module_has(int value)
{
    for (int i = 0; i < 4; i++)
        if (zeroed[i] != value)
            return 0;
    return initialised[0] == value && initialised[1] == value && initialised[2] == value
           && relocated == zeroed;
}
