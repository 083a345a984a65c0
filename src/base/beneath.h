/* Opening a file below a folder, for names that strangers say: none leads out of it. */
#pragma once

/* path: relative to `folder`, "" is the folder itself; empty parts, "." and ".." are refused
 * (-EINVAL). flags as open(2) has them; O_CLOEXEC is added, and without O_PATH O_NOCTTY and
 * O_NONBLOCK (a pipe with nobody at its other end must not hold us up). Symbolic links are followed
 * as long as they stay below the folder (where the kernel has no openat2(2): not at all). The
 * descriptor, or a negative errno. */
int beneath_open(int folder, const char *path, int flags);
/* For tests: as a kernel without openat2(2) does it. */
int beneath_open_stepwise(int folder, const char *path, int flags);
