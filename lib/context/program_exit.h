/* The end of the program as the floors above see it. */
#ifndef FXI_CONTEXT_PROGRAM_EXIT_H
#define FXI_CONTEXT_PROGRAM_EXIT_H

/* Has the hooks' program_exit called when the program ends: before the exit handlers that were
 * registered until now, and after the later ones. Called for every thread that is started; where the
 * hooks have run already (an exit handler starts threads), they will run again. 0 or -ENOMEM. */
int fxi_program_exit_arm(void);

#endif
