#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/connect.h"
#include "agent/connect_settings.h"

static char error[512];

static int read_arguments(struct connect_request *request, char **argv)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    error[0] = '\0';
    return connect_request_read(request, argc, argv, "box", error, sizeof error);
}

#define READ(request, ...)                                                                         \
    read_arguments((request),                                                                      \
                   (char *[]){"connect", "--server=s.example", "--token=t", __VA_ARGS__, NULL})

#define REFUSED(word, ...)                                                                         \
    do {                                                                                           \
        struct connect_request request_;                                                           \
        assert_int_equal(READ(&request_, __VA_ARGS__), -1);                                        \
        if (!strstr(error, word))                                                                  \
            fail_msg("\"%s\" doesn't say \"%s\"", error, word);                                    \
        connect_request_deinit(&request_);                                                         \
    } while (0)

static int clear_environment(void **state)
{
    for (const struct setting *setting = connect_table.settings; setting->name; setting++)
        if (setting->environment)
            unsetenv(setting->environment);
    unsetenv("PROXY_HOST");
    unsetenv("PROXY_TOKEN");
    return 0;
}

static void test_one_service(void **state)
{
    struct connect_request request;

    assert_int_equal(READ(&request, "--port", "8080"), 0);
    assert_string_equal(request.reach.server.host, "s.example");
    assert_int_equal(request.reach.server.port, 5005);
    assert_string_equal(request.reach.token, "t");
    assert_int_equal(request.services.count, 1);
    assert_string_equal(request.services.items[0].name, "box-8080");
    assert_string_equal(request.services.items[0].settings.host, "127.0.0.1");
    assert_int_equal(request.services.items[0].settings.type, SERVICE_HTTPS);
    assert_false(request.settings.json);
    connect_request_deinit(&request);

    assert_int_equal(READ(&request, "--unix", "/run/app.sock", "--type=tcp", "--json"), 0);
    assert_string_equal(request.services.items[0].name, "box-app.sock");
    assert_true(request.settings.json);
    connect_request_deinit(&request);
}

static void test_every_setting_has_a_variable(void **state)
{
    struct connect_request request;

    for (const struct setting *setting = connect_table.settings; setting->name; setting++)
        if (strcmp(setting->name, "help") != 0)
            assert_true(setting->environment &&
                        strncmp(setting->environment, "STREAMPLEX_", 11) == 0);
    setenv("STREAMPLEX_PORT", "99", 1);
    setenv("STREAMPLEX_NAME", "Youpi", 1);
    setenv("STREAMPLEX_PROXY_PROTOCOL", "v1", 1);
    assert_int_equal(READ(&request, "--host=::1"), 0);
    assert_int_equal(request.services.items[0].settings.port, 99);
    assert_string_equal(request.services.items[0].name, "Youpi");
    assert_int_equal(request.services.items[0].settings.proxy_protocol, PROXY_V1);
    connect_request_deinit(&request);
}

static void test_the_rows_of_a_services_file_are_the_flags(void **state)
{
    for (const struct setting *row = service_table.settings; row->name; row++) {
        const struct setting *flag = connect_table.settings;
        while (flag->name && strcmp(flag->name, row->name) != 0)
            flag++;
        assert_non_null(flag->name);
        assert_int_equal(flag->offset, row->offset + offsetof(struct connect_settings, service));
    }
}

static void test_a_services_file(void **state)
{
    struct connect_request request;
    char name[] = "/tmp/streamplex-test-XXXXXX";
    FILE *file = fdopen(mkstemp(name), "w");

    REFUSED("no service in it", "--file", name);
    fprintf(file, "[web]\nport = 1\n[other]\nport = 2\n");
    fclose(file);
    assert_int_equal(READ(&request, "--file", name), 0);
    assert_int_equal(request.services.count, 2);
    connect_request_deinit(&request);
    assert_int_equal(READ(&request, "--file", name, "--port=3", "--name=third"), 0);
    assert_int_equal(request.services.count, 3);
    connect_request_deinit(&request);
    REFUSED("two services", "--file", name, "--port=3", "--name=web");
    unlink(name);
    REFUSED(name, "--file", name);
}

static void test_what_is_missing_or_wrong(void **state)
{
    REFUSED("--port, --unix or --dir", "--name=x");
    REFUSED("--port: ", "--port=0");
    REFUSED("--host: ", "--port=1", "--host=a/b");
    REFUSED("--instance: ", "--port=1", "--instance=a b");
    REFUSED("--unix: ", "--unix",
            "/0123456789012345678901234567890123456789012345678901234567890123456789"
            "012345678901234567890123456789012345678901234567890123456789");
    REFUSED("sha256", "--port=1", "--pin=sha1:00");
    REFUSED("unexpected argument", "--port=1", "8080");
}

static void test_long_names_are_cut_between_characters(void **state)
{
    struct connect_request request;
    char path[256] = "/tmp/";

    for (int i = 0; i < 50; i++)
        strcat(path, "\xc3\xa9");
    strcat(path, "x");
    char *argv[] = {"connect", "--server=s", "--token=t", "--dir", path, NULL};
    assert_int_equal(read_arguments(&request, argv), 0);
    assert_int_equal(strlen(request.services.items[0].name), 64);
    connect_request_deinit(&request);
}

static void test_the_help_tells_the_exit_codes(void **state)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    settings_help(&connect_table, stream);
    fclose(stream);
    assert_non_null(strstr(text, "2 (wrong token"));
    assert_non_null(strstr(text, "6 (the server has no"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_one_service, clear_environment),
        cmocka_unit_test_setup_teardown(test_every_setting_has_a_variable, clear_environment,
                                        clear_environment),
        cmocka_unit_test_setup(test_the_rows_of_a_services_file_are_the_flags, clear_environment),
        cmocka_unit_test_setup(test_a_services_file, clear_environment),
        cmocka_unit_test_setup(test_what_is_missing_or_wrong, clear_environment),
        cmocka_unit_test_setup(test_long_names_are_cut_between_characters, clear_environment),
        cmocka_unit_test_setup(test_the_help_tells_the_exit_codes, clear_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
