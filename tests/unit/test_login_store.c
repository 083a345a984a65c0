/* The login on disk: who may read it, what a broken one does. */
#include "agent/login_store.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "login_home.h"

static char error[512], folder[256];

static const struct login sample = {
    .token = "eyJ.x.y", .api = "https://api.example", .ca = "/etc/a ca.pem"};

static void find_folder(void)
{
    assert_int_equal(login_store_folder(folder, sizeof folder, error, sizeof error), 0);
}

static unsigned mode_of(const char *name)
{
    struct stat status;
    assert_int_equal(stat(home_path(name), &status), 0);
    return status.st_mode & 07777;
}

static void put_file(const char *name, const char *text)
{
    FILE *file = fopen(home_path(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_where_it_is(void **state)
{
    find_folder();
    assert_string_equal(folder, home_path("config/streamplex"));
    setenv("XDG_CONFIG_HOME", "relative", 1);
    setenv("HOME", "/nowhere", 1);
    find_folder();
    assert_string_equal(folder, "/nowhere/.config/streamplex");
    unsetenv("HOME");
    assert_int_equal(login_store_folder(folder, sizeof folder, error, sizeof error), -1);
    assert_non_null(strstr(error, "HOME"));
}

static void test_what_is_written_is_read(void **state)
{
    struct login login;
    find_folder();
    assert_int_equal(login_store_read(folder, &login, error, sizeof error), 0);
    assert_null(login.token);
    assert_int_equal(login_store_write(folder, &sample, error, sizeof error), 0);
    assert_int_equal(mode_of("config/streamplex"), 0700);
    assert_int_equal(mode_of("config/streamplex/token"), 0600);
    assert_int_equal(mode_of("config/streamplex/api"), 0600);
    assert_int_equal(login_store_read(folder, &login, error, sizeof error), 1);
    assert_string_equal(login.token, sample.token);
    assert_string_equal(login.api, sample.api);
    assert_string_equal(login.ca, sample.ca);
    login_deinit(&login);
    /* another one takes its place, without a CA */
    const struct login other = {.token = "t2", .api = "https://b"};
    assert_int_equal(login_store_write(folder, &other, error, sizeof error), 0);
    assert_int_equal(login_store_read(folder, &login, error, sizeof error), 1);
    assert_string_equal(login.token, "t2");
    assert_null(login.ca);
    login_deinit(&login);
}

static void test_an_open_folder_is_closed(void **state)
{
    find_folder();
    assert_int_equal(mkdir(home_config, 0755), 0);
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_int_equal(login_store_write(folder, &sample, error, sizeof error), 0);
    assert_int_equal(mode_of("config/streamplex"), 0700);
    assert_int_equal(mode_of("config"), 0755); /* that one isn't ours alone */
}

static void test_removing_keeps_the_place(void **state)
{
    struct login login;
    find_folder();
    assert_int_equal(login_store_remove(folder, error, sizeof error), 0);
    assert_int_equal(login_store_write(folder, &sample, error, sizeof error), 0);
    assert_int_equal(login_store_remove(folder, error, sizeof error), 0);
    assert_int_equal(login_store_read(folder, &login, error, sizeof error), 0);
    assert_null(login.token);
    assert_string_equal(login.api, sample.api);
    login_deinit(&login);
}

static void test_broken_files(void **state)
{
    static const char *const tokens[] = {"", "\n", " x\n", "two words\n", "x\x1b[2J\n"};
    struct login login;
    find_folder();
    assert_int_equal(login_store_write(folder, &sample, error, sizeof error), 0);
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        put_file("config/streamplex/token", tokens[i]);
        assert_int_equal(login_store_read(folder, &login, error, sizeof error), -1);
        assert_non_null(strstr(error, "log in again"));
        assert_null(login.api);
    }
    put_file("config/streamplex/token", "good");
    put_file("config/streamplex/api", "api\n");
    assert_int_equal(login_store_read(folder, &login, error, sizeof error), -1);
    assert_non_null(strstr(error, "api:1:"));
    put_file("config/streamplex/api", "api = a\napi = b\nlater = c\n");
    assert_int_equal(login_store_read(folder, &login, error, sizeof error), 1);
    assert_string_equal(login.api, "b");
    login_deinit(&login);
}

static void test_what_cannot_be_kept(void **state)
{
    const struct login lines = {.token = "t", .api = "https://a\nca = x"};
    find_folder();
    assert_int_equal(login_store_write(folder, &lines, error, sizeof error), -1);
    assert_int_equal(access(folder, F_OK), -1);
    /* in the folder's place a file */
    assert_int_equal(mkdir(home_config, 0700), 0);
    put_file("config/streamplex", "");
    assert_int_equal(login_store_write(folder, &sample, error, sizeof error), -1);
    assert_non_null(strstr(error, "streamplex"));
}

int main(void)
{
#define IN_HOME(test) cmocka_unit_test_setup_teardown(test, home_make, home_remove)
    const struct CMUnitTest tests[] = {
        IN_HOME(test_where_it_is),
        IN_HOME(test_what_is_written_is_read),
        IN_HOME(test_an_open_folder_is_closed),
        IN_HOME(test_removing_keeps_the_place),
        IN_HOME(test_broken_files),
        IN_HOME(test_what_cannot_be_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
