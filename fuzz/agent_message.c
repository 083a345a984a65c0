/* What a server tells an agent on channel 0, from any bytes. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "agent/announce.h"
#include "streamplex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
    assert(strnlen(text, size) < size);
    for (; *text; text++)
        assert((unsigned char)*text >= ' ' && *text != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct announce_answer answer;
    if (!plex_json_check((const char *)data, size)) /* as the engine does */
        return 0;
    announce_read((const char *)data, &answer);
    check_text(answer.service, sizeof answer.service);
    check_text(answer.type, sizeof answer.type);
    check_text(answer.hostname, sizeof answer.hostname);
    check_text(answer.url, sizeof answer.url);
    check_text(answer.code, sizeof answer.code);
    check_text(answer.message, sizeof answer.message);
    return 0;
}
