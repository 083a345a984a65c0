/* Commands as data: which one is meant, what the help shows; the shape of pages and scripts. That
 * shells and man are content with the real ones is tests/completion.sh's and tests/man.sh's. */
#include "base/command.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/command_completion.h"
#include "base/command_man.h"

static const char *const types[] = {"https", "tcp", NULL};

static const struct setting rows[] = {
    {.name = "help", .type = SETTING_FLAG, .help = "Prints this help."},
    {.name = "type",
     .type = SETTING_CHOICE,
     .environment = "X_TYPE",
     .placeholder = "TYPE",
     .help = "It's [a] type: of which? One. And more.",
     .fallback = "https",
     .choices = types},
    {.name = "ca", .type = SETTING_TEXT, .placeholder = "FILE", .help = ".dot \\ at the start."},
    {0},
};

static const struct settings_table table = {
    .command = "socket create", .arguments = "FILE", .summary = "Makes one.", .settings = rows};

static int run(int argc, char **argv)
{
    return 0;
}

static const struct command items[] = {
    {"serve", run, &table, "the server", "One"},
    {"socket ls", run, &table, "lists 'em", "Two"},
    {"socket create", run, &table, "makes one", "Two"},
    {"admin user ls", run, &table, "lists users", "Three"},
    {"man", run, &table, "", NULL},
};

static const struct command_list list = {items, sizeof items / sizeof items[0], "1.2"};

#define WORDS(...)                                                                                 \
    (int)(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)), (char *[])                            \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void test_the_longest_name_is_found(void **state)
{
    int words;
    assert_ptr_equal(command_find(&list, WORDS("serve", "--port"), &words), &items[0]);
    assert_int_equal(words, 1);
    assert_ptr_equal(command_find(&list, WORDS("socket", "create", "--x"), &words), &items[2]);
    assert_int_equal(words, 2);
    assert_ptr_equal(command_find(&list, WORDS("admin", "user", "ls"), &words), &items[3]);
    assert_int_equal(words, 3);
    assert_ptr_equal(command_find(&list, WORDS("man", "x"), &words), &items[4]);
    assert_null(command_find(&list, WORDS("socket"), &words));
    assert_null(command_find(&list, WORDS("socket", "--help"), &words));
    assert_null(command_find(&list, WORDS("ser"), &words));
    assert_null(command_find(&list, WORDS("serves"), &words));
}

static void test_groups(void **state)
{
    assert_int_equal(command_find_group(&list, WORDS("socket")), 1);
    assert_int_equal(command_find_group(&list, WORDS("admin", "user", "x")), 2);
    assert_int_equal(command_find_group(&list, WORDS("nothing")), 0);
}

static char *text_of(void (*write)(const struct command_list *, FILE *))
{
    char *text;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    write(&list, stream);
    fclose(stream);
    return text;
}

static void help_all(const struct command_list *commands, FILE *stream)
{
    command_help(commands, 0, NULL, stream);
}

static void help_socket(const struct command_list *commands, FILE *stream)
{
    command_help(commands, 1, (char *[]){"socket"}, stream);
}

static void test_help_is_grouped(void **state)
{
    char *text = text_of(help_all);
    assert_non_null(strstr(text, "\nOne:\n  serve          the server\n\nTwo:\n  socket ls   "));
    assert_null(strstr(text, "  man"));
    free(text);
    text = text_of(help_socket);
    assert_non_null(strstr(text, "Usage: streamplex socket COMMAND"));
    assert_non_null(strstr(text, "\nTwo:\n  socket ls      lists 'em\n  socket create  makes one"));
    assert_null(strstr(text, "serve  "));
    free(text);
}

static void test_walks(void **state)
{
    size_t at = 0;
    assert_ptr_equal(command_next(&list, "", &at), &items[0]);
    assert_ptr_equal(command_next(&list, "", &at), &items[1]); /* socket, once */
    assert_ptr_equal(command_next(&list, "", &at), &items[3]);
    assert_null(command_next(&list, "", &at));
    struct command_prefixes prefixes = {0};
    static const char *const expected[] = {"serve", "socket",     "socket ls",    "socket create",
                                           "admin", "admin user", "admin user ls"};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_true(command_next_prefix(&list, &prefixes));
        assert_string_equal(prefixes.text, expected[i]);
    }
    assert_false(command_next_prefix(&list, &prefixes));
    char buffer[64];
    command_describe(&list, "socket", buffer, sizeof buffer);
    assert_string_equal(buffer, "ls, create");
    command_describe(&list, "socket ls", buffer, sizeof buffer);
    assert_string_equal(buffer, "lists 'em");
}

static void man_socket(const struct command_list *commands, FILE *stream)
{
    assert_int_equal(command_man(commands, "socket", stream), 0);
}

static void test_a_man_page(void **state)
{
    char *text = text_of(man_socket);
    assert_non_null(strstr(text, ".TH STREAMPLEX\\-SOCKET 1 \"\" \"streamplex 1.2\""));
    assert_non_null(strstr(text, "\n.SS socket create\n"));
    assert_non_null(strstr(text, "\n.BI \\-\\-type \" \" \"TYPE\"\n"));
    assert_non_null(strstr(text, "\nOne of https, tcp.\n"));
    assert_non_null(strstr(text, "\nEnvironment: X_TYPE.\n"));
    /* neither a request of roff nor its escape */
    assert_non_null(strstr(text, "\n\\&.dot \\e at the start.\n"));
    free(text);
    assert_int_equal(command_man(&list, "sock", stdout), -1);
    assert_int_equal(command_man(&list, "man", stdout), -1);
    assert_int_equal(command_man(&list, "", stdout), -1);
}

static void test_sentences_in_scripts_are_quoted(void **state)
{
    char *text = text_of(command_complete_zsh);
    assert_non_null(strstr(text, "'--type=[It'\\''s \\[a\\] type\\: of which? One]:TYPE:(https "
                                 "tcp)'"));
    assert_non_null(strstr(text, "'ls:lists '\\''em'"));
    free(text);
    text = text_of(command_complete_fish);
    assert_non_null(strstr(text, "-l type -x -a 'https tcp' -d 'It\\'s [a] type: of which? One'"));
    assert_non_null(strstr(text, "-l ca -r -F -d '.dot \\\\ at the start'"));
    free(text);
    text = text_of(command_complete_bash);
    assert_non_null(strstr(text, "'socket create --type') words='https tcp' ;;"));
    assert_non_null(strstr(text, "'socket create') words='--help --type --ca' files=yes ;;"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_longest_name_is_found),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_help_is_grouped),
        cmocka_unit_test(test_walks),
        cmocka_unit_test(test_a_man_page),
        cmocka_unit_test(test_sentences_in_scripts_are_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
