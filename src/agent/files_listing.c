#include "agent/files_listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/utf8.h"

struct entry {
    char *name;
    uint64_t size;
    time_t modified;
    bool is_folder;
};

struct entries {
    struct entry *list;
    size_t count, capacity;
    bool is_cut;
};

static void entries_deinit(struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        free(entries->list[i].name);
    free(entries->list);
}

static int entries_add(struct entries *entries, const char *name, const struct stat *facts)
{
    if (entries->count == entries->capacity) {
        size_t capacity = entries->capacity ? 2 * entries->capacity : 64;
        struct entry *list = realloc(entries->list, capacity * sizeof *list);
        if (!list)
            return -ENOMEM;
        entries->list = list;
        entries->capacity = capacity;
    }
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    entries->list[entries->count++] = (struct entry){
        .name = copy,
        .size = (uint64_t)facts->st_size,
        .modified = facts->st_mtime,
        .is_folder = S_ISDIR(facts->st_mode),
    };
    return 0;
}

/* The facts of what a request for it would find. A link is looked at from the root, for it may lead
 * anywhere below that. False: it isn't served. */
static bool find_facts(int root, int folder, const char *path, const char *name,
                       struct stat *ret_facts)
{
    if (fstatat(folder, name, ret_facts, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    if (S_ISLNK(ret_facts->st_mode)) {
        char whole[PATH_MAX];
        int length = snprintf(whole, sizeof whole, "%s%s%s", path, *path ? "/" : "", name);
        if (length >= (int)sizeof whole)
            return false;
        int fd = beneath_open(root, whole, O_PATH);
        if (fd < 0)
            return false;
        int result = fstat(fd, ret_facts);
        close(fd);
        if (result < 0)
            return false;
    }
    return S_ISREG(ret_facts->st_mode) || S_ISDIR(ret_facts->st_mode);
}

static int collect(int root, DIR *folder, const char *path, bool shows_hidden,
                   struct entries *entries)
{
    for (struct dirent *entry; (entry = readdir(folder));) {
        const char *name = entry->d_name;
        struct stat facts;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || (*name == '.' && !shows_hidden))
            continue;
        if (entries->count == FILES_LISTING_MAX) {
            entries->is_cut = true;
            break;
        }
        if (find_facts(root, dirfd(folder), path, name, &facts) &&
            entries_add(entries, name, &facts) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int compare(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (a->is_folder != b->is_folder)
        return a->is_folder ? -1 : 1;
    int order = strcasecmp(a->name, b->name);
    return order ? order : strcmp(a->name, b->name);
}

/* --- the page --- */

void files_listing_encode(const char *path, FILE *page)
{
    for (; *path; path++) {
        unsigned char byte = (unsigned char)*path;
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9') || strchr("-._~/", byte);
        if (is_plain)
            fputc(byte, page);
        else
            fprintf(page, "%%%02X", byte);
    }
}

static void put_escaped(const char *text, FILE *page)
{
    while (*text) {
        size_t length = utf8_length(text), step = length ? length : 1;
        if (!length || utf8_is_control(text, length))
            fputs("\xef\xbf\xbd", page); /* U+FFFD: there is something, but nothing to show */
        else if (*text == '<')
            fputs("&lt;", page);
        else if (*text == '>')
            fputs("&gt;", page);
        else if (*text == '&')
            fputs("&amp;", page);
        else if (*text == '"')
            fputs("&quot;", page);
        else
            fwrite(text, 1, length, page);
        text += step;
    }
}

/* "999 B", "1.2 kB", "34 MB" */
static void put_size(uint64_t size, FILE *page)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    size_t unit = 0;
    uint64_t scale = 1000;
    if (size < 1000) {
        fprintf(page, "%" PRIu64 " B", size);
        return;
    }
    while (size / scale >= 1000 && unit + 1 < sizeof units / sizeof *units) {
        scale *= 1000;
        unit++;
    }
    if (size / scale >= 10)
        fprintf(page, "%" PRIu64 " %s", size / scale, units[unit]);
    else
        fprintf(page, "%" PRIu64 ".%" PRIu64 " %s", size / scale, size % scale / (scale / 10),
                units[unit]);
}

static void put_entry(const struct entry *entry, FILE *page)
{
    struct tm when = {.tm_mday = 1, .tm_year = 70};
    gmtime_r(&entry->modified, &when);
    /* "./": or a name with a colon would be taken for a scheme */
    fputs("<tr><td><a href=\"./", page);
    files_listing_encode(entry->name, page);
    fputs(entry->is_folder ? "/\">" : "\">", page);
    put_escaped(entry->name, page);
    fputs(entry->is_folder ? "/</a><td>" : "</a><td>", page);
    if (!entry->is_folder)
        put_size(entry->size, page);
    fprintf(page, "<td>%04d-%02d-%02d %02d:%02d\n", when.tm_year + 1900, when.tm_mon + 1,
            when.tm_mday, when.tm_hour, when.tm_min);
}

static void write_page(const char *path, const struct entries *entries, FILE *page)
{
    fputs("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>/",
          page);
    put_escaped(path, page);
    fputs("</title>\n<style>\n:root { color-scheme: light dark }\n"
          "body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60em; margin: 2rem auto; "
          "padding: 0 1rem }\n"
          "table { border-collapse: collapse; width: 100% }\n"
          "th { text-align: left }\n"
          "td { overflow-wrap: anywhere; padding: .15rem 1rem .15rem 0 }\n"
          "td + td { white-space: nowrap }\n"
          "</style>\n<h1>/",
          page);
    put_escaped(path, page);
    fputs("</h1>\n<table>\n<tr><th>Name<th>Size<th>Changed (UTC)\n", page);
    if (*path)
        fputs("<tr><td><a href=\"../\">../</a><td><td>\n", page);
    for (size_t i = 0; i < entries->count; i++)
        put_entry(&entries->list[i], page);
    fputs("</table>\n", page);
    if (entries->is_cut)
        fprintf(page, "<p>There is more here than these %d.</p>\n", FILES_LISTING_MAX);
}

int files_listing_write(int root, const char *path, bool shows_hidden, FILE *page)
{
    struct entries entries = {0};
    int fd = beneath_open(root, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fd;
    DIR *folder = fdopendir(fd);
    if (!folder) {
        int error = -errno;
        close(fd);
        return error;
    }
    int result = collect(root, folder, path, shows_hidden, &entries);
    if (result == 0) {
        if (entries.count)
            qsort(entries.list, entries.count, sizeof *entries.list, compare);
        write_page(path, &entries, page);
    }
    entries_deinit(&entries);
    closedir(folder);
    return result;
}
