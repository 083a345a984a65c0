#include "agent/complain.h"

#include <stdarg.h>
#include <stdio.h>

void complain_write(const char *command, const char *format, ...)
{
    char text[1024];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 127)
            *at = '?';
    fprintf(stderr, "streamplex %s: %s\n", command, text);
}
