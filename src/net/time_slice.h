/* How long the scheduler lets this thread run at a time. */
#pragma once

/* Asks for short turns of the processor that come soon, for a thread whose work waits behind
 * whatever else the machine does: half a millisecond, in place of some milliseconds. Linux 6.12 and
 * later do so for threads of the ordinary policies; elsewhere nothing happens. Nice value and
 * policy stay; threads and children that are started later inherit it. */
void time_slice_shorten(void);
