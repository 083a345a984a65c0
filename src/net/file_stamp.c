#include "net/file_stamp.h"

#include <string.h>

bool file_stamp_changed(struct file_stamp *stamp, const char *path, uint64_t now, uint64_t interval)
{
    if (now < stamp->next_look) {
        return false;
    }
    struct file_stamp found = {.next_look = now + interval};
    struct stat status;
    if (stat(path, &status) == 0) {
        found.exists = true;
        found.modified = status.st_mtim;
        found.size = status.st_size;
        found.inode = status.st_ino; /* files are often replaced by a rename */
    }
    bool changed = found.exists != stamp->exists || found.size != stamp->size ||
                   found.inode != stamp->inode || found.modified.tv_sec != stamp->modified.tv_sec ||
                   found.modified.tv_nsec != stamp->modified.tv_nsec;
    *stamp = found;
    return changed;
}
