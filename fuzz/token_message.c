/* The token message: the input is the JSON of a device's first message. Whatever it is, the server
 * says the same about it whole and byte by byte, and a token that is told is one that may be. */
#include <stdlib.h>
#include <string.h>

#include "streamplex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    int result;
    int tokens;
    uint32_t features;
    size_t token_length, answer_length;
    char token[PLEX_TOKEN_MAX];
    unsigned char answer[PLEX_PULL_MAX];
};

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void *allocate(void *user, size_t size)
{
    return malloc(size);
}

static void give_back(void *user, void *memory, size_t size)
{
    free(memory);
}

static void on_token(struct plex_session *session, const char *token, size_t length)
{
    struct outcome *outcome = plex_session_user(session);
    must(length >= 1 && length <= PLEX_TOKEN_MAX && !memchr(token, 0, length));
    outcome->tokens++;
    outcome->token_length = length;
    memcpy(outcome->token, token, length);
    must(plex_session_authorize(session, true) == 0);
}

static void ignore(struct plex_session *session)
{
}

static const struct plex_callbacks callbacks = {
    .on_token = on_token, .on_output = ignore, .on_resume = ignore};
static const struct plex_allocator allocator = {allocate, give_back, NULL};

/* Feeds a frame in pieces of `step` bytes. */
static void run(const uint8_t *frame, size_t size, size_t step, struct outcome *outcome)
{
    struct plex_config config;
    plex_config_init(&config, PLEX_SERVER);
    config.callbacks = &callbacks;
    config.allocator = &allocator;
    memset(outcome, 0, sizeof *outcome);
    struct plex_session *session = plex_session_new(&config, outcome, 1);
    must(session);
    for (size_t at = 0, taken; at < size && outcome->result == 0; at += taken) {
        size_t piece = size - at < step ? size - at : step;
        outcome->result = plex_session_feed(session, frame + at, piece, 1, &taken);
        must(outcome->result < 0 || taken == piece);
    }
    outcome->features = plex_session_features(session);
    outcome->answer_length = plex_session_pull(session, outcome->answer, sizeof outcome->answer, 1);
    plex_session_free(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole, torn;
    static uint8_t frame[PLEX_HEADER_SIZE + PLEX_PAYLOAD_MAX];
    if (size > PLEX_PAYLOAD_MAX)
        return 0;
    size_t length = size + 3;
    const uint8_t header[PLEX_HEADER_SIZE] = {(uint8_t)(length >> 8), (uint8_t)length, 0, 0, 1};
    memcpy(frame, header, sizeof header);
    memcpy(frame + sizeof header, data, size);
    run(frame, sizeof header + size, SIZE_MAX, &whole);
    run(frame, sizeof header + size, 1, &torn);
    must(whole.result == torn.result && whole.tokens == torn.tokens &&
         whole.features == torn.features && whole.token_length == torn.token_length &&
         !memcmp(whole.token, torn.token, whole.token_length) &&
         whole.answer_length == torn.answer_length &&
         !memcmp(whole.answer, torn.answer, whole.answer_length));
    must(whole.tokens <= 1 && (whole.result == 0 || whole.answer_length));
    return 0;
}
