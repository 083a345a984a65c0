/* Certificate files that change, come and go. */
#include "net_test.h"

#include <sys/stat.h>

#include "server/certificate_watch.h"

static char *folder;
static struct certificate_watch *watch;

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(test_path(folder, name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* As certbot and every careful program do it. */
static void replace_file(const char *name, const char *text)
{
    write_file("new", text);
    assert_int_equal(rename(test_path(folder, "new"), test_path(folder, name)), 0);
}

static void test_nothing_changes_by_itself(void **state)
{
    const char *files[] = {NULL, test_path(folder, "a.pem")};
    assert_false(certificate_watch_changed(watch));
    write_file("a.pem", "1");
    certificate_watch_set(watch, files, 2, NULL);
    assert_false(certificate_watch_changed(watch));
    assert_false(certificate_watch_changed(watch));
}

static void test_a_named_file_is_replaced(void **state)
{
    const char *files[] = {test_path(folder, "a.pem"), test_path(folder, "b.pem")};
    write_file("a.pem", "1");
    certificate_watch_set(watch, files, 2, NULL);
    replace_file("a.pem", "2");
    assert_true(certificate_watch_changed(watch));
    assert_false(certificate_watch_changed(watch));
    write_file("b.pem", "was missing");
    assert_true(certificate_watch_changed(watch));
    assert_int_equal(unlink(test_path(folder, "b.pem")), 0);
    assert_true(certificate_watch_changed(watch));
    assert_false(certificate_watch_changed(watch));
}

static void test_files_come_and_go_in_a_folder(void **state)
{
    certificate_watch_set(watch, NULL, 0, folder);
    assert_false(certificate_watch_changed(watch));
    write_file("a.pem", "1");
    assert_true(certificate_watch_changed(watch));
    certificate_watch_set(watch, NULL, 0, folder);
    write_file("a.pem", "written in place, longer");
    assert_true(certificate_watch_changed(watch));
}

/* live/NAME/fullchain.pem is a link into another folder, which certbot points elsewhere. */
static void test_a_link_in_a_folder_of_the_folder_points_elsewhere(void **state)
{
    write_file("old", "1");
    write_file("other", "22");
    assert_int_equal(mkdir(test_path(folder, "live"), 0700), 0);
    assert_int_equal(mkdir(test_path(folder, "live/x.example"), 0700), 0);
    assert_int_equal(symlink("../../old", test_path(folder, "live/x.example/fullchain.pem")), 0);
    certificate_watch_set(watch, NULL, 0, test_path(folder, "live"));
    assert_false(certificate_watch_changed(watch));
    write_file("old", "the same link leads to something else");
    assert_true(certificate_watch_changed(watch));
    assert_int_equal(symlink("../../other", test_path(folder, "live/x.example/next")), 0);
    assert_int_equal(rename(test_path(folder, "live/x.example/next"),
                            test_path(folder, "live/x.example/fullchain.pem")),
                     0);
    assert_true(certificate_watch_changed(watch));
}

static void test_a_missing_folder_appears(void **state)
{
    certificate_watch_set(watch, NULL, 0, test_path(folder, "live"));
    assert_false(certificate_watch_changed(watch));
    assert_int_equal(mkdir(test_path(folder, "live"), 0700), 0);
    assert_true(certificate_watch_changed(watch));
}

static int set_up(void **state)
{
    folder = test_folder();
    return certificate_watch_new(&watch);
}

static int tear_down(void **state)
{
    static const char *const names[] = {
        "live/x.example/fullchain.pem", "live/x.example", "live", "old", "other", "a.pem"};
    certificate_watch_free(watch);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)remove(test_path(folder, names[i]));
    test_remove_folder(folder);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_changes_by_itself),
        TEST(test_a_named_file_is_replaced),
        TEST(test_files_come_and_go_in_a_folder),
        TEST(test_a_link_in_a_folder_of_the_folder_points_elsewhere),
        TEST(test_a_missing_folder_appears),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
