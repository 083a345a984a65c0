/* Tables for people, on a terminal:
 *
 *   +-----------+----------+
 *   | socket_id | dns_name |
 *   +-----------+----------+
 *   | ...       | ...      |
 *   +-----------+----------+
 *
 * Columns are as wide as their widest cell is shown. What a terminal would obey, or what isn't
 * UTF-8, is shown escaped: cells come from other people. */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct text_table;

/* Titles are borrowed for the table's life. NULL: no memory. */
struct text_table *text_table_new(const char *const *titles, size_t columns);
void text_table_free(struct text_table *table); /* NULL is fine */
/* A row; cells are copied, NULL is an empty one. 0, or -1 without memory. */
int text_table_add(struct text_table *table, const char *const *cells)
    __attribute__((warn_unused_result));
size_t text_table_rows(const struct text_table *table);
void text_table_print(const struct text_table *table, FILE *stream);

/* `text` as it may be shown: control characters, marks that turn the direction of writing, and
 * bytes that aren't UTF-8 become "\n", "\x1b", "\u202e". Malloced; NULL: no memory. */
char *text_table_escape(const char *text);
/* Columns that escaped text takes. */
size_t text_table_width(const char *text);
