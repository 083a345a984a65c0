#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/service.h"

static struct service_list list;
static char error[512];

static int parse(const char *text)
{
    list = (struct service_list){0};
    error[0] = '\0';
    size_t length = strlen(text);
    char *exact = malloc(length + !length);
    memcpy(exact, text, length);
    int result =
        service_list_parse(&list, exact, length, "services.ini", "box", error, sizeof error);
    free(exact);
    return result;
}

#define REFUSED(text, sentence)                                                                    \
    do {                                                                                           \
        assert_int_equal(parse(text), -1);                                                         \
        assert_string_equal(error, sentence);                                                      \
        service_list_deinit(&list);                                                                \
    } while (0)

static void test_services(void **state)
{
    assert_int_equal(parse("# ours\n[web]\nport = 8080\nhost-header = local:1\nhttps-only = yes\n"
                           "[count]\r\ntype = tls\r\nport = 7\r\nproxy-protocol = v2\r\n\n"
                           "[files]\nname = the files\ndir = /srv\ndir-hidden = on\n"),
                     0);
    assert_int_equal(list.count, 3);
    const struct service *web = service_list_find(&list, "web");
    assert_int_equal(web->settings.port, 8080);
    assert_string_equal(web->settings.host, "127.0.0.1");
    assert_string_equal(web->settings.host_header, "local:1");
    assert_int_equal(web->settings.type, SERVICE_HTTPS);
    assert_true(web->settings.https_only);
    const struct service *count = service_list_find(&list, "count");
    assert_int_equal(count->settings.type, SERVICE_TLS);
    assert_int_equal(count->settings.proxy_protocol, PROXY_V2);
    assert_false(count->settings.https_only);
    const struct service *files = service_list_find(&list, "the files");
    assert_string_equal(files->settings.folder, "/srv");
    assert_true(files->settings.folder_hidden);
    assert_null(service_list_find(&list, "files"));
    service_list_deinit(&list);
}

static void test_mistakes_are_told_with_their_place(void **state)
{
    REFUSED("port = 1\n", "services.ini:1: port stands before the first [section]");
    REFUSED("[a]\nprot = 1\n", "services.ini:2: unknown setting \"prot\"; did you mean port?");
    REFUSED("[a]\nport = 1\nport = 2\n", "services.ini:3: port is set twice");
    REFUSED("[a]\n[b]\nport = 1\n",
            "services.ini:2: section [a]: there is no service: give --port, --unix or --dir");
    REFUSED("[b]\nport = 1\n[a]\ntype=tcp\n",
            "services.ini:3: section [a]: there is no service: give --port, --unix or --dir");
    REFUSED("[a]\nport = 1\n[a]\nport = 2\n",
            "services.ini:3: section [a]: there are two services with the name \"a\"");
    REFUSED("[]\nport = 1\n", "services.ini:1: a section is named after its service");
    REFUSED("[a\nport = 1\n", "services.ini:1: a section is written [name]");
}

static void test_what_doesnt_go_together(void **state)
{
    static const char *const texts[] = {
        "[a]\nport=1\nunix=/s\n",
        "[a]\nport=1\ndir=/s\n",
        "[a]\ndir=/s\ntype=tcp\n",
        "[a]\ndir=/s\nproxy-protocol=v1\n",
        "[a]\nport=1\ntype=tcp\nhostname=h\n",
        "[a]\nport=1\ntype=tls\nhttps-only=yes\n",
        "[a]\nport=1\ntype=passthrough\nhost-header=h\n",
        "[a]\nport=1\ntype=passthrough\nupstream-tls=yes\n",
        "[a]\nport=0\n",
        "[a]\nport=65536\n",
        "[a]\nport=1\nhost=a b\n",
        "[a]\nport=1\ntype=ftp\n",
        "[a]\nport=1\nname=\xff\n",
        "[a]\nport=1\nname=0123456789012345678901234567890123456789012345678901234567890123x\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (parse(texts[i]) == 0)
            fail_msg("taken: %s", texts[i]);
        assert_true(strncmp(error, "services.ini:", 13) == 0);
        service_list_deinit(&list);
    }
}

static void test_torn_files_never_make_half_a_service(void **state)
{
    static const char text[] = "[web]\nport = 8080\n[count]\nport = 7\ntype = tls\n";
    char torn[sizeof text];
    for (size_t length = 0; length < sizeof text; length++) {
        snprintf(torn, length + 1, "%s", text);
        if (parse(torn) == 0)
            for (size_t i = 0; i < list.count; i++)
                assert_true(list.items[i].settings.port && list.items[i].settings.host);
        else
            assert_true(strncmp(error, "services.ini:", 13) == 0);
        service_list_deinit(&list);
    }
}

static void test_no_more_than_a_tunnel_takes(void **state)
{
    char text[SERVICES_MAX * 32 + 64] = "";
    for (int i = 0; i <= SERVICES_MAX; i++)
        sprintf(text + strlen(text), "[s%d]\nport = 1\n", i);
    assert_int_equal(parse(text), -1);
    assert_non_null(strstr(error, "at most 64 services"));
    assert_int_equal(list.count, SERVICES_MAX);
    service_list_deinit(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_mistakes_are_told_with_their_place),
        cmocka_unit_test(test_what_doesnt_go_together),
        cmocka_unit_test(test_torn_files_never_make_half_a_service),
        cmocka_unit_test(test_no_more_than_a_tunnel_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
