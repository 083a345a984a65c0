/* Runs tests/vectors/ (STREAMPLEX.md §12) against the engine: each case whole, byte by byte, and
 * torn at random. With an argument, "side device", only the cases that begin with it. */
#include "vector_host.h"

#include <dirent.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *only; /* NULL: all */

enum tearing { WHOLE, BYTES, RANDOM, TEARINGS };

struct run {
    struct vector_host host;
    struct plex_config config;
    struct plex_allocator allocator;
    uint32_t peer_window, peer_max_substreams;
    enum tearing tearing;
    uint32_t random;
    struct vector_bytes input;  /* fed and not yet taken */
    struct vector_bytes output; /* pulled and not yet compared */
    bool stopped_seen, over;
    char why[256];
};

static bool __attribute__((format(printf, 2, 3))) fails(struct run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(run->why, sizeof run->why, format, args);
    va_end(args);
    return false;
}

static uint32_t next_random(struct run *run)
{
    run->random = run->random * 1664525 + 1013904223;
    return run->random >> 8;
}

/* Feeds what waits, in pieces, until the engine stops or is over. */
static void feed(struct run *run)
{
    size_t done = 0, taken = 1;
    while (taken && done < run->input.length && !run->host.result && !run->host.stopped) {
        size_t piece = run->input.length - done;
        if (run->tearing == BYTES)
            piece = 1;
        else if (run->tearing == RANDOM)
            piece = 1 + next_random(run) % piece;
        /* A copy of the exact size, so that the address sanitizer sees a read past the end. */
        struct vector_bytes copy = {0};
        vector_bytes_add(&copy, run->input.bytes + done, piece);
        run->host.result =
            plex_session_feed(run->host.session, copy.bytes, piece, run->host.now, &taken);
        vector_bytes_free(&copy);
        done += taken;
        run->host.stopped = !plex_session_can_take(run->host.session);
    }
    vector_bytes_drop(&run->input, done);
}

static void pull(struct run *run)
{
    static uint8_t buffer[PLEX_PULL_MAX];
    size_t length;
    do {
        size_t capacity = PLEX_PULL_MAX;
        if (run->tearing == RANDOM)
            capacity = PLEX_PULL_MAX - next_random(run) % 1000;
        length = plex_session_pull(run->host.session, buffer, capacity, run->host.now);
        vector_bytes_add(&run->output, buffer, length);
    } while (length);
    feed(run);
}

static size_t frame_size(const struct vector_bytes *bytes)
{
    return bytes->length < PLEX_HEADER_SIZE ? 0
                                            : 2 + (size_t)(bytes->bytes[0] << 8 | bytes->bytes[1]);
}

/* The next frame of output that counts; where the program consumes by itself, when credit is given
 * is free. */
static size_t next_output(struct run *run)
{
    pull(run);
    size_t size;
    while ((size = frame_size(&run->output)) && run->host.consume_auto && run->output.bytes[4] == 2)
        vector_bytes_drop(&run->output, size);
    return size;
}

/* Takes the first `length` payload bytes of the data frame that is next; the frame lives on while
 * it has more. */
static void take_payload(struct run *run, size_t size, size_t length)
{
    uint8_t header[PLEX_HEADER_SIZE];
    size_t rest = size - PLEX_HEADER_SIZE - length;
    memcpy(header, run->output.bytes, sizeof header);
    vector_bytes_drop(&run->output, rest ? length : size);
    if (!rest)
        return;
    header[0] = (uint8_t)((rest + 3) >> 8);
    header[1] = (uint8_t)(rest + 3);
    memcpy(run->output.bytes, header, sizeof header);
}

/* Data may be cut into several frames, and several writes be one frame; each frame fits a record.
 */
static bool expect_data(struct run *run, const struct vector_bytes *expected)
{
    size_t done = PLEX_HEADER_SIZE;
    while (done < expected->length) {
        size_t size = next_output(run);
        if (!size || size > PLEX_PULL_MAX || run->output.bytes[4] != 0 ||
            memcmp(run->output.bytes + 2, expected->bytes + 2, 2) != 0)
            return fails(run, "no such data was sent");
        size_t payload = size - PLEX_HEADER_SIZE;
        if (payload > expected->length - done)
            payload = expected->length - done;
        if (memcmp(run->output.bytes + PLEX_HEADER_SIZE, expected->bytes + done, payload) != 0)
            return fails(run, "other data was sent");
        take_payload(run, size, payload);
        done += payload;
    }
    return true;
}

static bool expect_output(struct run *run, const char *text)
{
    struct vector_bytes expected = {0};
    bool any = text[strlen(text) - 1] == '*', good = true;
    char *stem = NULL;
    int stem_length = (int)strlen(text) - any;
    if (asprintf(&stem, "%.*s%s", stem_length, text,
                 !any                            ? ""
                 : strncmp(text, "ping", 4) == 0 ? "0000000000000000"
                                                 : "0") < 0)
        abort();
    if (!vector_frame_parse(stem, &expected)) {
        good = fails(run, "can't read this frame");
    } else if (expected.bytes[4] == 0) {
        good = expect_data(run, &expected);
    } else {
        size_t size = next_output(run);
        size_t compared = any ? PLEX_HEADER_SIZE : expected.length;
        if (!size)
            good = fails(run, "nothing was sent");
        else if (size != expected.length ||
                 memcmp(run->output.bytes, expected.bytes, compared) != 0)
            good =
                fails(run, "sent instead: channel %d, type %d, %.*s",
                      run->output.bytes[2] << 8 | run->output.bytes[3], run->output.bytes[4],
                      (int)(size - PLEX_HEADER_SIZE), (char *)run->output.bytes + PLEX_HEADER_SIZE);
        else
            vector_bytes_drop(&run->output, size);
    }
    vector_bytes_free(&expected);
    free(stem);
    return good;
}

static bool expect_told_data(struct run *run, const char *text)
{
    struct vector_bytes expected = {0};
    char *rest;
    unsigned long id = strtoul(text, &rest, 10);
    struct vector_told *first = &run->host.told[0];
    bool good = vector_bytes_parse(rest + 1, &expected) && first->id == id &&
                first->data.length >= expected.length &&
                memcmp(first->data.bytes, expected.bytes, expected.length) == 0;
    if (!good)
        fails(run, "told instead: %zu other bytes on %u", first->data.length, first->id);
    else if (first->data.length > expected.length)
        vector_bytes_drop(&first->data, expected.length);
    else
        vector_host_told_drop(&run->host);
    vector_bytes_free(&expected);
    return good;
}

static bool expect_told(struct run *run, const char *text)
{
    if (!run->host.told_count)
        return fails(run, "nothing was told (result %s)", plex_error_name(run->host.result));
    const char *told = run->host.told[0].text;
    if (!told && strncmp(text, "data ", 5) == 0)
        return expect_told_data(run, text + 5);
    if (!told || strcmp(told, text) != 0)
        return fails(run, "told instead: %s", told ? told : "data");
    vector_host_told_drop(&run->host);
    return true;
}

static bool expect_quiet(struct run *run)
{
    if (run->host.told_count)
        return fails(run, "told: %s", run->host.told[0].text ? run->host.told[0].text : "data");
    if (next_output(run))
        return fails(run, "sent: type %d, %.*s", run->output.bytes[4],
                     (int)(run->output.length - PLEX_HEADER_SIZE),
                     (char *)run->output.bytes + PLEX_HEADER_SIZE);
    return run->host.result ? fails(run, "over: %s", plex_error_name(run->host.result)) : true;
}

static bool expect_fault(struct run *run, const char *name)
{
    size_t taken;
    if (!run->host.result) /* it says the same for ever, so also to whom asks late */
        run->host.result = plex_session_feed(run->host.session, "", 0, run->host.now, &taken);
    if (strcmp(plex_error_name(run->host.result), name) != 0)
        return fails(run, "result is %s", plex_error_name(run->host.result));
    char frame[200];
    snprintf(frame, sizeof frame, "json 0 {\"type\":\"message\",\"object\":{\"error\":\"%s\"}}",
             plex_error_text(run->host.result));
    if (!expect_output(run, frame))
        return false;
    if (plex_session_feed(run->host.session, "x", 1, run->host.now, &taken) != run->host.result)
        return fails(run, "feeding on gives another result");
    run->over = true;
    run->host.result = 0;
    vector_bytes_free(&run->input);
    return next_output(run) ? fails(run, "sent something after its last frame") : true;
}

static bool expect_stats(struct run *run, const char *text)
{
    uint64_t in = 0, out = 0;
    struct plex_stats stats;
    pull(run);
    plex_session_stats(run->host.session, &stats);
    if (sscanf(text, "in %" SCNu64 " out %" SCNu64, &in, &out) != 2)
        return fails(run, "can't read this");
    if (stats.bytes_in != in || stats.bytes_out != out)
        return fails(run, "they are in %" PRIu64 " out %" PRIu64, stats.bytes_in, stats.bytes_out);
    return true;
}

static uint32_t parse_features(const char *text)
{
    static const char *const names[] = {"flow", "ping", "reset", "goaway", "inbound"};
    uint32_t features = 0;
    for (int i = 0; i < 5; i++)
        if (strstr(text, names[i]))
            features |= 1u << i;
    return features;
}

static bool set(struct run *run, const char *line)
{
    char key[32] = "";
    int used = 0;
    sscanf(line, "%31s %n", key, &used);
    const char *value = line + used;
    struct plex_config *config = &run->config;
    uint32_t number = (uint32_t)strtoul(value, NULL, 10);
    struct {
        const char *key;
        uint32_t *number;
        uint64_t *time;
    } keys[] = {
        {"window", &config->window, NULL},
        {"window_max", &config->window_max, NULL},
        {"credit_limit", &config->credit_limit, NULL},
        {"max_json", &config->max_json, NULL},
        {"max_substreams", &config->max_substreams, NULL},
        {"buffer_limit", &config->buffer_limit, NULL},
        {"stall_bytes", &config->stall_bytes, NULL},
        {"peer_window", &run->peer_window, NULL},
        {"peer_max_substreams", &run->peer_max_substreams, NULL},
        {"stall_time", NULL, &config->stall_time},
        {"auth_timeout", NULL, &config->auth_timeout},
        {"frame_timeout", NULL, &config->frame_timeout},
        {"idle_timeout", NULL, &config->idle_timeout},
        {"ping_interval", NULL, &config->ping_interval},
        {"ping_timeout", NULL, &config->ping_timeout},
    };
    if (strcmp(key, "features") == 0) {
        config->features = parse_features(value);
        return true;
    }
    if (strcmp(key, "consume") == 0) {
        run->host.consume_auto = strcmp(value, "auto") == 0;
        return true;
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(keys[i].key, key) != 0)
            continue;
        if (keys[i].time)
            *keys[i].time = (uint64_t)number * 1000;
        else
            *keys[i].number = number;
        return true;
    }
    return fails(run, "no such setting");
}

static bool begin(struct run *run)
{
    if (run->host.session)
        return true;
    run->host.session = plex_session_new(&run->config, &run->host, run->host.now);
    return run->host.session ? true : fails(run, "no session");
}

static bool feed_frame(struct run *run, const char *text)
{
    if (!vector_frame_parse(text, &run->input))
        return fails(run, "can't read this frame");
    feed(run);
    return true;
}

/* "flow reset" -> "\"flow\",\"reset\"" */
static void list_features(const char *words, char *ret_list)
{
    *ret_list = 0;
    char copy[100];
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        sprintf(ret_list + strlen(ret_list), "%s\"%s\"", *ret_list ? "," : "", word);
}

/* The `start` line: a token, its answer, and what was agreed. */
static bool start(struct run *run, const char *line)
{
    char features[100], extension[300] = "", message[400];
    if (strncmp(line, "v1", 2) == 0) {
        list_features(line + 2, features);
        snprintf(extension, sizeof extension,
                 ",\"streamplex\":{\"version\":1,\"features\":[%s],\"window\":%u,\"max_json\":"
                 "16384,\"max_substreams\":%u}",
                 features, run->peer_window, run->peer_max_substreams);
    }
    bool server = run->config.side == PLEX_SERVER;
    if (!server && *extension)
        run->config.features = parse_features(line + 2);
    if (!begin(run))
        return false;
    snprintf(message, sizeof message, "json 0 {\"type\":\"message\",\"object\":{%s%s}}",
             server ? "\"token\":\"DEV-CRED\"" : "\"authed\":true", extension);
    if (!server && (!vector_host_do(&run->host, "token DEV-CRED") || !next_output(run)))
        return fails(run, "no token was sent");
    vector_bytes_free(&run->output);
    if (!feed_frame(run, message) || !expect_told(run, server ? "token DEV-CRED" : "authed true"))
        return false;
    if (server && (!vector_host_do(&run->host, "authorize true") || !next_output(run)))
        return fails(run, "no answer was sent");
    vector_bytes_free(&run->output);
    return true;
}

static bool pass_time(struct run *run, const char *text)
{
    run->host.now += strtoull(text, NULL, 10) * 1000;
    if (!run->host.result && plex_session_deadline(run->host.session) <= run->host.now)
        run->host.result = plex_session_tick(run->host.session, run->host.now);
    feed(run);
    return true;
}

static bool do_line(struct run *run, const char *text)
{
    if (!vector_host_do(&run->host, text))
        return fails(run, "couldn't");
    feed(run);
    return true;
}

static bool run_line(struct run *run, const char *line)
{
    char verb[16] = "";
    int used = 0;
    sscanf(line, "%15s%n", verb, &used);
    const char *rest = line + used + (line[used] == ' ');
    if (strcmp(verb, "set") == 0)
        return set(run, rest);
    if (strcmp(verb, "start") == 0)
        return start(run, rest);
    if (!begin(run))
        return false;
    if (strcmp(verb, "feed") == 0)
        return feed_frame(run, rest);
    if (strcmp(verb, "send") == 0)
        return expect_output(run, rest);
    if (strcmp(verb, "event") == 0)
        return expect_told(run, rest);
    if (strcmp(verb, "do") == 0)
        return do_line(run, rest);
    if (strcmp(verb, "clock") == 0)
        return pass_time(run, rest + 1);
    if (strcmp(verb, "fault") == 0)
        return expect_fault(run, rest);
    if (strcmp(verb, "stats") == 0)
        return expect_stats(run, rest);
    if (strcmp(verb, "quiet") == 0)
        return expect_quiet(run);
    if (strcmp(verb, "stopped") == 0)
        return run->input.length ? true : fails(run, "all was taken");
    return fails(run, "can't read this line");
}

static bool end_run(struct run *run, bool good)
{
    if (good && run->host.session)
        good = expect_quiet(run);
    if (good && run->input.length)
        good = fails(run, "%zu bytes were never taken", run->input.length);
    plex_session_free(run->host.session);
    if (good && run->host.memory)
        good = fails(run, "%zu bytes of memory leak", run->host.memory);
    while (run->host.told_count)
        vector_host_told_drop(&run->host);
    free(run->host.told);
    vector_bytes_free(&run->host.messages);
    vector_bytes_free(&run->input);
    vector_bytes_free(&run->output);
    return good;
}

/* Runs the lines of one case; *ret_line is where it failed. */
static bool run_case(char **lines, int count, enum tearing tearing, struct run *run, int *ret_line)
{
    *run = (struct run){
        .peer_window = 65536, .peer_max_substreams = 1024, .tearing = tearing, .random = 2014};
    run->host.consume_auto = true;
    run->host.now = 1000000;
    run->allocator = (struct plex_allocator){vector_host_alloc, vector_host_free, &run->host};
    bool good = count > 0 && strncmp(lines[0], "side ", 5) == 0;
    plex_config_init(&run->config,
                     good && strncmp(lines[0], "side device", 11) == 0 ? PLEX_DEVICE : PLEX_SERVER);
    run->config.callbacks = &vector_host_callbacks;
    run->config.allocator = &run->allocator;
    for (*ret_line = 1; good && *ret_line < count; ++*ret_line)
        if (!run_line(run, lines[*ret_line])) {
            good = false;
            break;
        }
    return end_run(run, good);
}

static int run_all_tearings(const char *file, const char *name, char **lines, int count)
{
    static const char *const how[] = {"whole", "byte by byte", "torn"};
    for (enum tearing tearing = WHOLE; tearing < TEARINGS; tearing++) {
        struct run run;
        int line;
        if (run_case(lines, count, tearing, &run, &line))
            continue;
        print_error("%s: %s (%s): \"%.120s\": %s\n", file, name, how[tearing],
                    line < count ? lines[line] : "(end)", run.why);
        return 1;
    }
    return 0;
}

/* Splits a file into cases and runs them; returns how many failed. */
static int run_file(const char *path, const char *name, int *cases)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *lines[512], *case_name = NULL, *line = NULL;
    int count = 0, failed = 0;
    size_t capacity = 0;
    for (;;) {
        ssize_t length = getline(&line, &capacity, file);
        if (length > 0 && line[length - 1] == '\n')
            line[--length] = 0;
        if (length >= 0 && (line[0] == '#' || !line[0]))
            continue;
        if (length < 0 || strncmp(line, "case ", 5) == 0) {
            bool wanted = case_name && (!only || (count > 0 && strcmp(lines[0], only) == 0));
            *cases += wanted;
            if (wanted)
                failed += run_all_tearings(name, case_name, lines, count);
            while (count)
                free(lines[--count]);
            free(case_name);
            if (length < 0)
                break;
            case_name = strdup(line + 5);
            continue;
        }
        assert_true(count < 512);
        lines[count++] = strdup(line);
    }
    free(line);
    fclose(file);
    return failed;
}

static void test_every_vector_holds(void **state)
{
    char folder[1024], path[2048];
    const char *root = getenv("PLEX_SOURCE_ROOT");
    snprintf(folder, sizeof folder, "%s/tests/vectors", root ? root : ".");
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    int cases = 0, failed = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        size_t length = strlen(entry->d_name);
        if (length < 5 || strcmp(entry->d_name + length - 4, ".txt") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        failed += run_file(path, entry->d_name, &cases);
    }
    closedir(directory);
    print_message("%d vectors, %d failed\n", cases, failed);
    assert_true(cases > (only ? 40 : 300));
    assert_int_equal(failed, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_vector_holds),
    };
    if (argc > 1)
        only = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
