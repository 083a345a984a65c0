#include "edge/http_date.h"

#include <stdio.h>

/* Not by strftime(3): no locale may have a say. */
const char *http_date_format(time_t when, char buffer[HTTP_DATE_SIZE])
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm parts = {.tm_mday = 1, .tm_year = 70, .tm_wday = 4};
    gmtime_r(&when, &parts);
    snprintf(buffer, HTTP_DATE_SIZE, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[parts.tm_wday],
             parts.tm_mday, months[parts.tm_mon], (parts.tm_year + 1900) % 10000, parts.tm_hour,
             parts.tm_min, parts.tm_sec);
    return buffer;
}

const char *http_date_at(struct http_date *date, time_t now)
{
    if (date->second != now || !*date->text) {
        http_date_format(now, date->text);
        date->second = now;
    }
    return date->text;
}
