/* Runs tests/smuggling/ (its README.md has the format), each case in several tearings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>

#include "http_rig.h"

#define TEARINGS        6
#define NAME_MAX_LENGTH 120
#define CDN_ID          "here"

struct attempt {
    char name[NAME_MAX_LENGTH];
    struct rig_bytes send, request, answer, pass;
    int refused;
    bool is_answer, ends, is_broken;
    int keeps; /* -1: not said */
};

/* loop: what CDN-Loop has of before, "" or a list that ends with a comma and a space. */
static void append_forwarding(struct rig_bytes *bytes, const char *host, const char *loop)
{
    char text[512];
    int length = snprintf(text, sizeof text,
                          "X-Forwarded-For: 192.0.2.1\r\n"
                          "X-Forwarded-Host: %s\r\n"
                          "X-Forwarded-Proto: http\r\n"
                          "X-Real-IP: 192.0.2.1\r\n"
                          "Forwarded: for=192.0.2.1;host=%s;proto=http\r\n"
                          "CDN-Loop: %s" CDN_ID "\r\n",
                          host, host, loop);
    rig_append(bytes, text, (size_t)length);
}

/* Appends what the escape at `at` stands for, and returns where the text goes on. */
static const char *unescape(struct rig_bytes *bytes, const char *at)
{
    static const char letters[] = "rnt0\\", meanings[] = "\r\n\t\0\\";
    const char *letter = strchr(letters, at[1]);
    char inside[200], loop[160] = "", hex[3] = {0};
    int length = 0;
    if (at[1] && letter) {
        rig_append(bytes, &meanings[letter - letters], 1);
        return at + 2;
    }
    if (at[1] == 'x') {
        memcpy(hex, at + 2, 2);
        char byte = (char)strtoul(hex, NULL, 16);
        rig_append(bytes, &byte, 1);
        return at + 4;
    }
    if (sscanf(at, "\\F(%199[^)])%n", inside, &length) != 1 || !length)
        fail_msg("an escape that isn't known: %s", at);
    char *before = strchr(inside, '|');
    if (before) {
        *before = 0;
        snprintf(loop, sizeof loop, "%s, ", before + 1);
    }
    append_forwarding(bytes, inside, loop);
    return at + length;
}

static void append_text(struct rig_bytes *bytes, const char *text)
{
    while (*text && *text != '\n') {
        if (*text == '\\') {
            text = unescape(bytes, text);
        } else {
            rig_append(bytes, text, 1);
            text++;
        }
    }
}

static void read_line(struct attempt *attempt, char *line)
{
    line[strcspn(line, "\n")] = 0;
    char *text = strstr(line, ": ");
    if (!text)
        fail_msg("no case's line: %s", line);
    *text = 0;
    text += 2;
    if (!strcmp(line, "case"))
        rig_copy(attempt->name, sizeof attempt->name, text);
    else if (!strcmp(line, "send"))
        append_text(&attempt->send, text);
    else if (!strcmp(line, "request"))
        append_text(&attempt->request, text);
    else if (!strcmp(line, "answer"))
        append_text(&attempt->answer, text), attempt->is_answer = true;
    else if (!strcmp(line, "pass"))
        append_text(&attempt->pass, text);
    else if (!strcmp(line, "refused"))
        attempt->refused = atoi(text);
    else if (!strcmp(line, "end"))
        attempt->ends = attempt->is_answer = true;
    else if (!strcmp(line, "broken"))
        attempt->is_broken = true;
    else if (!strcmp(line, "keeps"))
        attempt->keeps = !strcmp(text, "yes");
    else
        fail_msg("a line that isn't known: %s", line);
}

static void forget(struct attempt *attempt)
{
    free(attempt->send.at);
    free(attempt->request.at);
    free(attempt->answer.at);
    free(attempt->pass.at);
    *attempt = (struct attempt){.keeps = -1};
}

static void check_same(const struct attempt *attempt, unsigned tearing, struct rig_bytes *got)
{
    struct rig_bytes want = attempt->pass, norm_got = {0}, norm_want = {0};
    if (tearing != RIG_WHOLE) {
        norm_got = rig_normalize(got);
        norm_want = rig_normalize(&want);
        got = &norm_got;
        want = norm_want;
    }
    if (got->length != want.length || memcmp(got->at, want.at ? want.at : "", got->length) != 0)
        fail_msg("%s (tearing %u): passed on was\n[%s]\nand not\n[%s]", attempt->name, tearing,
                 got->at, want.at ? want.at : "");
    free(norm_got.at);
    free(norm_want.at);
}

/* What a service got of a request that was refused: a beginning of `pass`. */
static void check_beginning(const struct attempt *attempt, unsigned tearing, struct rig_bytes *got)
{
    struct rig_bytes norm_got = rig_normalize(got), norm_want = rig_normalize(&attempt->pass);
    if (norm_got.length > norm_want.length ||
        memcmp(norm_got.at, norm_want.at, norm_got.length) != 0)
        fail_msg("%s (tearing %u): the service got\n[%s]", attempt->name, tearing, norm_got.at);
    free(norm_got.at);
    free(norm_want.at);
}

static void check_refused(const struct attempt *attempt, unsigned tearing, struct rig *rig)
{
    if (rig->status != attempt->refused || !rig->is_own)
        fail_msg("%s (tearing %u): not refused by %d; status %d, the service got\n[%s]",
                 attempt->name, tearing, attempt->refused, rig->status, rig->service.at);
    char start[32];
    snprintf(start, sizeof start, "HTTP/1.1 %d ", attempt->refused);
    if (!strstr(rig->visitor.at, start))
        fail_msg("%s: the visitor wasn't told %d", attempt->name, attempt->refused);
}

static void run_request(const struct attempt *attempt, unsigned tearing)
{
    struct rig rig = {.options.cdn_id = CDN_ID};
    rig_open(&rig);
    rig_feed(&rig, false, attempt->send.at, attempt->send.length, tearing);
    while (http_visit_state(rig.visit) == HTTP_VISIT_EXCHANGE)
        rig_service_says(&rig, "HTTP/1.1 204 No Content\r\n\r\n", RIG_WHOLE);
    if (attempt->refused) {
        check_refused(attempt, tearing, &rig);
        assert_int_equal(http_visit_state(rig.visit), HTTP_VISIT_CLOSING);
        check_beginning(attempt, tearing, &rig.service);
    } else {
        check_same(attempt, tearing, &rig.service);
        assert_false(rig.is_own);
    }
    rig_close(&rig);
}

static void run_answer(const struct attempt *attempt, unsigned tearing)
{
    static const char plain[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct rig rig = {0};
    rig_open(&rig);
    if (attempt->request.length)
        rig_feed(&rig, false, attempt->request.at, attempt->request.length, RIG_WHOLE);
    else
        rig_visitor_says(&rig, plain, RIG_WHOLE);
    assert_int_equal(http_visit_state(rig.visit), HTTP_VISIT_EXCHANGE);
    rig_feed(&rig, true, attempt->answer.at, attempt->answer.length, tearing);
    if (attempt->ends)
        http_visit_service_ended(rig.visit);
    if (attempt->refused)
        check_refused(attempt, tearing, &rig);
    else
        check_same(attempt, tearing, &rig.visitor);
    assert_int_equal(http_visit_is_broken(rig.visit), attempt->is_broken);
    if (attempt->keeps >= 0 && rig.keeps_service != attempt->keeps)
        fail_msg("%s: the service's connection is %skept", attempt->name,
                 rig.keeps_service ? "" : "not ");
    rig_close(&rig);
}

static void run(const struct attempt *attempt)
{
    for (unsigned tearing = 0; tearing < TEARINGS; tearing++)
        (attempt->is_answer ? run_answer : run_request)(attempt, tearing);
}

static int run_file(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("can't read %s", path);
    struct attempt attempt = {.keeps = -1};
    char *line = NULL;
    size_t size = 0;
    int count = 0;
    for (bool is_there = true; is_there;) {
        is_there = getline(&line, &size, file) >= 0;
        if (is_there && *line == '#')
            continue;
        if (is_there && *line != '\n') {
            read_line(&attempt, line);
        } else if (*attempt.name) {
            run(&attempt);
            forget(&attempt);
            count++;
        }
    }
    free(line);
    fclose(file);
    return count;
}

static void test_attempts_are_refused_or_passed_on_in_one_reading(void **state)
{
    (void)state;
    char folder[1024], path[2048];
    const char *root = getenv("PLEX_SOURCE_ROOT");
    snprintf(folder, sizeof folder, "%s/tests/smuggling", root ? root : ".");
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        if (length < 4 || strcmp(entry->d_name + length - 4, ".txt") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        count += run_file(path);
    }
    closedir(dir);
    assert_true(count >= 250); /* or some weren't found */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attempts_are_refused_or_passed_on_in_one_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
