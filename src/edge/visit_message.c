/* The agent's end of a `visit` message: read in place, for it comes with every visit. */
#include "edge/visit_record.h"

#include <string.h>

#include "streamplex.h"

#define TIME_MAX 253402300799999 /* the end of the year 9999 */

/* What a visit may have, in the order in which it is written. */
#define VISIT_KEYS                                                                                 \
    "time\0service\0type\0visitor\0method\0target\0version\0referer\0user_agent\0status\0"         \
    "error\0bytes_in\0bytes_out\0total_us\0answer_us\0substream\0"
union visit_values {
    const char *all[16];
    struct {
        const char *time, *service, *type, *visitor, *method, *target, *version, *referer,
            *user_agent, *status, *error, *bytes_in, *bytes_out, *total, *answer, *substream;
    };
};

/* What is left of a message's texts. */
struct room {
    char *at;
    size_t size;
};

/* A text that may be missing: "" then. False when it is something else, or too long. */
static bool read_text(const char *value, struct room *room, const char **ret_text)
{
    *ret_text = "";
    if (!value)
        return true;
    int length = room->size ? plex_json_copy(value, room->at, room->size) : -1;
    if (length < 0 || (size_t)length >= room->size)
        return false;
    *ret_text = room->at;
    room->at += length + 1;
    room->size -= (size_t)length + 1;
    return true;
}

/* A number that may be missing: 0 then. */
static bool read_number(const char *value, uint64_t most, uint64_t *ret_number)
{
    *ret_number = 0;
    return !value || plex_json_whole(value, most, ret_number);
}

static bool is_type(const char *type)
{
    static const char *const types[] = {"http", "https", "tls", "tcp", "passthrough"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

static bool read_texts(const union visit_values *values, struct visit_message *message)
{
    struct visit_record *record = &message->record;
    struct room room = {message->texts, sizeof message->texts};
    record->socket = record->owner = "";
    return read_text(values->service, &room, &record->service) &&
           read_text(values->type, &room, &record->type) &&
           read_text(values->visitor, &room, &record->visitor) &&
           read_text(values->method, &room, &record->method) &&
           read_text(values->target, &room, &record->target) &&
           read_text(values->version, &room, &record->version) &&
           read_text(values->referer, &room, &record->referer) &&
           read_text(values->user_agent, &room, &record->user_agent) &&
           read_text(values->error, &room, &record->error) && *record->service &&
           *record->visitor && is_type(record->type);
}

static bool read_numbers(const union visit_values *values, struct visit_record *record)
{
    uint64_t status, substream;
    if (!read_number(values->time, TIME_MAX, &record->time) ||
        !read_number(values->status, 999, &status) ||
        !read_number(values->bytes_in, INT64_MAX, &record->bytes_in) ||
        !read_number(values->bytes_out, INT64_MAX, &record->bytes_out) ||
        !read_number(values->total, INT64_MAX, &record->total) ||
        !read_number(values->answer, INT64_MAX, &record->answer) ||
        !read_number(values->substream, UINT16_MAX, &substream))
        return false;
    record->status = (int)status;
    record->substream = (uint16_t)substream;
    record->service_time = 0;
    return true;
}

bool visit_message_read(const char *json, struct visit_message *ret_message)
{
    const char *visit;
    union visit_values values;
    return plex_json_read(json, "visit\0", &visit) &&
           plex_json_read(visit, VISIT_KEYS, values.all) && read_texts(&values, ret_message) &&
           read_numbers(&values, &ret_message->record);
}
