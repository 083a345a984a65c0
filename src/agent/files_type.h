/* What kind of file it is, by its name. */
#pragma once

/* "text/html; charset=utf-8"; "application/octet-stream" for what isn't in the table. */
const char *files_type(const char *name);
