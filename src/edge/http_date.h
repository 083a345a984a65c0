/* Dates as HTTP writes them (RFC 9110 5.6.7); for the Date of answers one text for all of a second.
 */
#pragma once

#include <time.h>

#define HTTP_DATE_SIZE 32 /* "Sun, 06 Nov 1994 08:49:37 GMT" and NUL, with room to spare */

/* when: seconds since 1970. Returns the buffer. */
const char *http_date_format(time_t when, char buffer[HTTP_DATE_SIZE]);

/* A zeroed struct holds none yet. One thread's. */
struct http_date {
    time_t second; /* that the text is of */
    char text[HTTP_DATE_SIZE];
};

/* now: seconds since 1970. Borrowed until the next call, which may be for any other second. */
const char *http_date_at(struct http_date *date, time_t now);
