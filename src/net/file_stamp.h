/* Has a file changed? Looked at with stat(2), and not on every question. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Zero it to begin; the first look then says "changed" if the file exists. */
struct file_stamp {
    struct timespec modified;
    off_t size;
    ino_t inode;
    bool exists;
    uint64_t next_look;
};

/* True when the file isn't what it was at the last look (content, or there at all). Within
 * `interval` microseconds of the last look it isn't looked at, and nothing has changed. now:
 * microseconds, monotonic. */
bool file_stamp_changed(struct file_stamp *stamp, const char *path, uint64_t now,
                        uint64_t interval);
