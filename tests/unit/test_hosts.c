#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/hosts.h"
#include "net/resolve.h"

static char path[] = "/tmp/test_hosts.XXXXXX";

static void write_file(const char *text)
{
    /* As editors do it: another file in its place. */
    char aside[sizeof(path) + 4];
    snprintf(aside, sizeof(aside), "%s.new", path);
    FILE *file = fopen(aside, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(0, rename(aside, path));
}

static void expect(struct hosts *hosts, const char *name, uint64_t now, const char *expected)
{
    const union address *addresses;
    char text[1024] = "", one[ADDRESS_TEXT_MAX];
    size_t count = hosts_find(hosts, name, now, &addresses);
    for (size_t i = 0; i < count; i++) {
        strcat(text, i ? " " : "");
        strcat(text, address_format_host(&addresses[i], one));
    }
    assert_string_equal(expected, text);
}

static void test_names_have_their_addresses_in_order(void **state)
{
    write_file("127.0.0.1 localhost\n"
               "::1\tlocalhost ip6-localhost # the other one\n"
               "# 192.0.2.9 commented\n"
               "192.0.2.1   Box.Example   box  \r\n"
               "2001:db8::1 box\n"
               "192.0.2.1 box\n"
               "not-an-address name\n"
               "192.0.2.2");
    struct hosts *hosts = hosts_new(path, 1000);
    expect(hosts, "localhost", 0, "127.0.0.1 ::1");
    expect(hosts, "ip6-localhost", 0, "::1");
    expect(hosts, "box.example", 0, "192.0.2.1");
    expect(hosts, "box", 0, "192.0.2.1 2001:db8::1");
    expect(hosts, "commented", 0, "");
    expect(hosts, "name", 0, "");
    expect(hosts, "other", 0, "");
    hosts_free(hosts);
}

static void test_file_is_read_again_when_it_changed(void **state)
{
    write_file("192.0.2.1 box\n");
    struct hosts *hosts = hosts_new(path, 1000);
    expect(hosts, "box", 5000, "192.0.2.1");
    write_file("192.0.2.2 box\n");
    expect(hosts, "box", 5999, "192.0.2.1");
    expect(hosts, "box", 6000, "192.0.2.2");
    assert_int_equal(0, unlink(path));
    expect(hosts, "box", 7000, "");
    write_file("192.0.2.3 box\n");
    expect(hosts, "box", 8000, "192.0.2.3");
    hosts_free(hosts);
}

static void test_missing_file_is_empty(void **state)
{
    struct hosts *hosts = hosts_new("/nonexistent/hosts", 1000);
    expect(hosts, "localhost", 0, "");
    hosts_free(hosts);
}

static void test_addresses_of_a_name_are_bounded(void **state)
{
    char text[4096] = "";
    for (int i = 0; i < RESOLVE_ADDRESSES_MAX + 5; i++) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "192.0.2.%d box\n", i);
    }
    write_file(text);
    struct hosts *hosts = hosts_new(path, 1000);
    const union address *addresses;
    assert_int_equal(RESOLVE_ADDRESSES_MAX, hosts_find(hosts, "box", 0, &addresses));
    hosts_free(hosts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_have_their_addresses_in_order),
        cmocka_unit_test(test_file_is_read_again_when_it_changed),
        cmocka_unit_test(test_missing_file_is_empty),
        cmocka_unit_test(test_addresses_of_a_name_are_bounded),
    };
    int fd = mkstemp(path);
    if (fd < 0) {
        return 1;
    }
    close(fd);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failures;
}
