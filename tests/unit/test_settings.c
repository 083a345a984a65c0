/* Settings from flags, environment and file; what wins; what the errors say. */
#include "base/settings.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct values {
    char *config_file;
    bool help, verbose, once;
    char *name;
    struct setting_list items;
    struct setting_list secrets;
    uint64_t count, size, time;
    int color;
    char *peer;
};

static int double_it(const char *value, char *buffer, size_t size)
{
    if (strcmp(value, "bad") == 0)
        return -1;
    snprintf(buffer, size, "%s%s", value, value);
    return 0;
}

static const char *const colors[] = {"red", "green", "blue", NULL};

#define AT(field) offsetof(struct values, field)

static const struct setting settings[] = {
    {.name = "help", .type = SETTING_FLAG, .offset = AT(help), .help = "Prints this."},
    {.name = "config",
     .type = SETTING_TEXT,
     .offset = AT(config_file),
     .environment = "TEST_CONFIG",
     .placeholder = "FILE",
     .help = "A file."},
    {.name = "verbose",
     .type = SETTING_FLAG,
     .offset = AT(verbose),
     .environment = "TEST_VERBOSE",
     .help = "Says more.",
     .reloadable = true},
    {.name = "once", .type = SETTING_FLAG, .offset = AT(once), .help = "Only once."},
    {.name = "name",
     .type = SETTING_TEXT,
     .offset = AT(name),
     .fallback = "nobody",
     .environment = "TEST_NAME",
     .reference = "OLD_NAME OLDER_NAME",
     .placeholder = "NAME",
     .help = "A name."},
    {.name = "item",
     .type = SETTING_LIST,
     .offset = AT(items),
     .fallback = "x, y",
     .environment = "TEST_ITEM",
     .reference = "OLD_ITEM",
     .placeholder = "ITEM",
     .help = "An item."},
    {.name = "secret",
     .type = SETTING_LIST,
     .offset = AT(secrets),
     .environment = "TEST_SECRET",
     .placeholder = "TEXT",
     .help = "A secret.",
     .secret = true},
    {.name = "count",
     .type = SETTING_NUMBER,
     .offset = AT(count),
     .fallback = "3",
     .environment = "TEST_COUNT",
     .reference = "OLD_COUNT",
     .from_reference = double_it,
     .placeholder = "NUMBER",
     .help = "How many.",
     .least = 1,
     .most = 100,
     .reloadable = true},
    {.name = "size",
     .type = SETTING_SIZE,
     .offset = AT(size),
     .environment = "TEST_SIZE",
     .placeholder = "SIZE",
     .help = "How large.",
     .least = 1024},
    {.name = "time",
     .type = SETTING_DURATION,
     .offset = AT(time),
     .fallback = "90s",
     .environment = "TEST_TIME",
     .placeholder = "DURATION",
     .help = "How long.",
     .most = 3600000000},
    {.name = "color",
     .type = SETTING_CHOICE,
     .offset = AT(color),
     .fallback = "green",
     .environment = "TEST_COLOR",
     .placeholder = "red|green|blue",
     .help = "Which color.",
     .choices = colors},
    {.name = NULL},
};

static const struct settings_table table = {
    .command = "serve",
    .arguments = "HOST:PORT",
    .summary = "Tests settings.",
    .settings = settings,
    .size = sizeof(struct values),
};

/* What a test reads, and what came of it. */
struct fixture {
    struct values values;
    char **arguments;
    int argument_count;
    char error[512];
    char path[64];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    static const char *const names[] = {"TEST_CONFIG", "TEST_VERBOSE", "TEST_NAME", "OLD_NAME",
                                        "OLDER_NAME",  "TEST_ITEM",    "OLD_ITEM",  "TEST_SECRET",
                                        "TEST_COUNT",  "OLD_COUNT",    "TEST_SIZE", "TEST_TIME",
                                        "TEST_COLOR"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    *state = fixture;
    return fixture ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    settings_free(&table, &fixture->values);
    free(fixture->arguments);
    if (*fixture->path)
        unlink(fixture->path);
    free(fixture);
    return 0;
}

#define ARGUMENTS_MAX 16

/* Reads a command line, its words separated by blanks. */
static int read_line(struct fixture *fixture, const char *line)
{
    char *argv[ARGUMENTS_MAX + 1] = {(char *)"serve"};
    char copy[512];
    int argc = 1;
    int result;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    settings_free(&table, &fixture->values);
    memset(&fixture->values, 0, sizeof fixture->values);
    free(fixture->arguments);
    fixture->arguments = NULL;
    fixture->argument_count = 0;
    *fixture->error = '\0';
    result = settings_read(&table, argc, argv, &fixture->values, &fixture->arguments,
                           &fixture->argument_count, fixture->error, sizeof fixture->error);
    /* The strings are those of the copy. */
    for (int i = 0; result == 0 && i < fixture->argument_count; i++)
        assert_string_equal(fixture->arguments[i], i == 0 ? "first" : "second");
    return result;
}

static void write_file(struct fixture *fixture, const void *text, size_t length)
{
    int fd;
    if (!*fixture->path) {
        strcpy(fixture->path, "/tmp/test_settings_XXXXXX");
        fd = mkstemp(fixture->path);
        assert_true(fd >= 0);
        close(fd);
    }
    FILE *file = fopen(fixture->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    fclose(file);
    setenv("TEST_CONFIG", fixture->path, 1);
}

static void assert_fails(struct fixture *fixture, const char *line, const char *error)
{
    assert_int_equal(read_line(fixture, line), -1);
    assert_string_equal(fixture->error, error);
}

/* The error of a file comes with its path, which tests don't know. */
static void assert_file_fails(struct fixture *fixture, const char *text, const char *error)
{
    char expected[512];
    write_file(fixture, text, strlen(text));
    snprintf(expected, sizeof expected, "%s%s", fixture->path, error);
    assert_fails(fixture, "", expected);
}

static void test_defaults(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_line(f, ""), 0);
    assert_null(f->values.config_file);
    assert_false(f->values.help);
    assert_string_equal(f->values.name, "nobody");
    assert_int_equal(f->values.items.count, 2);
    assert_string_equal(f->values.items.items[0], "x");
    assert_string_equal(f->values.items.items[1], "y");
    assert_int_equal(f->values.secrets.count, 0);
    assert_int_equal(f->values.count, 3);
    assert_int_equal(f->values.size, 0);
    assert_int_equal(f->values.time, 90000000);
    assert_int_equal(f->values.color, 1);
}

static void test_flags(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_line(f,
                               "--name=ann first --count 7 --item a,b --item=c --verbose --size 2k "
                               "--time 250ms --color blue -- second"),
                     0);
    assert_string_equal(f->values.name, "ann");
    assert_int_equal(f->values.count, 7);
    assert_int_equal(f->values.items.count, 2);
    assert_string_equal(f->values.items.items[0], "a,b"); /* a flag's value is one item */
    assert_string_equal(f->values.items.items[1], "c");
    assert_true(f->values.verbose);
    assert_int_equal(f->values.size, 2048);
    assert_int_equal(f->values.time, 250000);
    assert_int_equal(f->values.color, 2);
    assert_int_equal(f->argument_count, 2);
    assert_int_equal(read_line(f, "--verbose --no-verbose --name a --name b"), 0);
    assert_false(f->values.verbose);
    assert_string_equal(f->values.name, "b");
    assert_int_equal(read_line(f, "--verbose --no_verbose"), 0);
    assert_false(f->values.verbose);
    assert_int_equal(read_line(f, "--verbose=no -h"), 0);
    assert_false(f->values.verbose);
    assert_true(f->values.help);
}

/* Clients of other servers write them so. */
static void test_an_underscore_is_as_a_dash(void **state)
{
    static const struct setting rows[] = {
        {.name = "socket-id", .type = SETTING_TEXT, .placeholder = "ID", .help = "Which."},
        {0},
    };
    static const struct settings_table own = {.command = "serve",
                                              .arguments = "",
                                              .summary = "",
                                              .settings = rows,
                                              .size = sizeof(char *)};
    char *values = NULL, error[256];
    const char *wrong = "unknown option --soket_id; did you mean --socket-id?";
    assert_int_equal(settings_read(&own, 2, (char *[]){"serve", "--socket_id=a_b", NULL}, &values,
                                   NULL, NULL, error, sizeof error),
                     0);
    assert_string_equal(values, "a_b"); /* a value's own stay */
    settings_free(&own, &values);
    assert_int_equal(settings_read(&own, 3, (char *[]){"serve", "--socket-id", "x", NULL}, &values,
                                   NULL, NULL, error, sizeof error),
                     0);
    assert_string_equal(values, "x");
    settings_free(&own, &values);
    assert_int_equal(settings_read(&own, 2, (char *[]){"serve", "--soket_id=x", NULL}, &values,
                                   NULL, NULL, error, sizeof error),
                     -1);
    assert_string_equal(error, wrong);
    assert_int_equal(settings_read(&own, 2, (char *[]){"serve", "--socket_=x", NULL}, &values, NULL,
                                   NULL, error, sizeof error),
                     -1);
    settings_free(&own, &values);
}

static void test_flag_errors(void **state)
{
    struct fixture *f = *state;
    assert_fails(f, "--nmae x", "unknown option --nmae; did you mean --name?");
    assert_fails(f, "--sizes 1", "unknown option --sizes; did you mean --size?");
    assert_fails(f, "--qqqqqq", "unknown option --qqqqqq; see streamplex serve --help");
    assert_fails(f, "--no-name", "unknown option --no-name; did you mean --name?");
    assert_fails(f, "-x", "unknown option -x; options begin with two dashes");
    assert_fails(f, "--name", "--name needs a value: --name=NAME");
    assert_fails(f, "--name --verbose", "--name needs a value: --name=NAME");
    assert_fails(f, "--name=", "--name: the value is empty");
    assert_fails(f, "--no-verbose=yes", "--no-verbose takes no value");
    assert_fails(f, "--verbose=maybe", "--verbose: \"maybe\" is neither yes nor no");
    assert_fails(f, "--color pink", "--color: \"pink\" is none of red, green, blue");
    assert_fails(f, "--count 7x", "--count: \"7x\" is not a whole number");
    assert_fails(f, "--count -7", "--count: \"-7\" is not a whole number");
    assert_fails(f, "--count 0", "--count: must be from 1 to 100");
    assert_fails(f, "--count 101", "--count: must be from 1 to 100");
    assert_fails(f, "--count 18446744073709551617",
                 "--count: \"18446744073709551617\" is not a whole number");
    assert_fails(f, "--size 1", "--size: must be at least 1k");
    assert_fails(f, "--size 1q", "--size: \"1q\" is not a size in bytes (like 4096, 64k, 16m, 1g)");
    assert_fails(
        f, "--size 18446744073709551615g",
        "--size: \"18446744073709551615g\" is not a size in bytes (like 4096, 64k, 16m, 1g)");
    assert_fails(f, "--time 2h", "--time: must be at most 1h");
    assert_fails(
        f, "--time s",
        "--time: \"s\" is not a duration (like 250ms, 30s, 5m, 2h; a bare number is seconds)");
}

static void test_units(void **state)
{
    static const struct {
        const char *line;
        uint64_t size, time;
    } cases[] = {
        {"--size 1024 --time 2", 1024, 2000000},     {"--size 3K --time 2s", 3072, 2000000},
        {"--size 2m --time 5us", 2 << 20, 5},        {"--size 1g --time 1m", 1 << 30, 60000000},
        {"--size 4096 --time 1h", 4096, 3600000000}, {"--size 1k --time 0d", 1024, 0},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_line(f, cases[i].line), 0);
        assert_int_equal(f->values.size, cases[i].size);
        assert_int_equal(f->values.time, cases[i].time);
    }
}

static void test_arguments_where_there_are_none(void **state)
{
    struct fixture *f = *state;
    char *argv[] = {(char *)"serve", (char *)"here", NULL};
    assert_int_equal(
        settings_read(&table, 2, argv, &f->values, NULL, NULL, f->error, sizeof f->error), -1);
    assert_string_equal(f->error,
                        "unexpected argument \"here\"; streamplex serve takes options alone");
}

static void test_environment(void **state)
{
    struct fixture *f = *state;
    setenv("TEST_NAME", "eve", 1);
    setenv("TEST_ITEM", "a, b\tc,,", 1);
    setenv("TEST_VERBOSE", "on", 1);
    assert_int_equal(read_line(f, ""), 0);
    assert_string_equal(f->values.name, "eve");
    assert_int_equal(f->values.items.count, 3);
    assert_string_equal(f->values.items.items[2], "c");
    assert_true(f->values.verbose);
    /* half of a secret is none */
    setenv("TEST_SECRET", "a, b", 1);
    assert_int_equal(read_line(f, ""), 0);
    assert_int_equal(f->values.secrets.count, 1);
    assert_string_equal(f->values.secrets.items[0], "a, b");
    /* flag over environment; a list as a whole */
    assert_int_equal(read_line(f, "--name ann --item z --no-verbose"), 0);
    assert_string_equal(f->values.name, "ann");
    assert_int_equal(f->values.items.count, 1);
    assert_false(f->values.verbose);
    /* empty counts as not set */
    setenv("TEST_NAME", "", 1);
    assert_int_equal(read_line(f, ""), 0);
    assert_string_equal(f->values.name, "nobody");
    setenv("TEST_COUNT", "many", 1);
    assert_fails(f, "", "TEST_COUNT: \"many\" is not a whole number");
    assert_fails(f, "--count 4", "TEST_COUNT: \"many\" is not a whole number");
}

static void test_reference_variables(void **state)
{
    struct fixture *f = *state;
    setenv("OLD_ITEM", "a, b", 1);
    setenv("OLDER_NAME", "adam", 1);
    setenv("OLD_COUNT", "4", 1);
    assert_int_equal(read_line(f, ""), 0);
    assert_int_equal(f->values.items.count, 1); /* taken whole */
    assert_string_equal(f->values.items.items[0], "a, b");
    assert_string_equal(f->values.name, "adam");
    assert_int_equal(f->values.count, 44);
    setenv("OLD_NAME", "abel", 1);
    setenv("TEST_ITEM", "c", 1);
    assert_int_equal(read_line(f, ""), 0);
    assert_string_equal(f->values.name, "abel"); /* the first of two */
    assert_string_equal(f->values.items.items[0], "c");
    assert_int_equal(f->values.items.count, 1); /* ours replaces theirs */
    setenv("OLD_COUNT", "bad", 1);
    assert_fails(f, "", "OLD_COUNT: \"bad\" is not a value for --count");
    /* a variable of another program's is nobody's fault where it isn't needed */
    assert_int_equal(read_line(f, "--count 5"), 0);
    assert_int_equal(f->values.count, 5);
}

static void test_file(void **state)
{
    static const char text[] = "\xef\xbb\xbf# a comment\r\n"
                               "  name = \"  ann # not a comment \"\r\n"
                               "\n"
                               "[ serve ]\n"
                               "; another\n"
                               "item = a b\n"
                               "item=c\n"
                               "\tcount = 9\t\n"
                               "verbose = yes\n"
                               "[bench]\n"
                               "whatever = 3\n"
                               "[serve]\n"
                               "time = 1m";
    struct fixture *f = *state;
    write_file(f, text, sizeof text - 1);
    assert_int_equal(read_line(f, ""), 0);
    assert_string_equal(f->values.name, "  ann # not a comment ");
    assert_int_equal(f->values.items.count, 3);
    assert_string_equal(f->values.items.items[2], "c");
    assert_int_equal(f->values.count, 9);
    assert_true(f->values.verbose);
    assert_int_equal(f->values.time, 60000000);
    /* environment and flag over file */
    setenv("TEST_COUNT", "10", 1);
    setenv("OLD_ITEM", "theirs", 1);
    assert_int_equal(read_line(f, "--name eve --no-verbose"), 0);
    assert_string_equal(f->values.name, "eve");
    assert_int_equal(f->values.count, 10);
    assert_int_equal(f->values.items.count, 1);
    assert_string_equal(f->values.items.items[0], "theirs");
    assert_false(f->values.verbose);
    /* the flag names another file */
    assert_int_equal(read_line(f, "--config /dev/null"), 0);
    assert_string_equal(f->values.name, "nobody");
}

static void test_file_errors(void **state)
{
    struct fixture *f = *state;
    char *longest;
    assert_file_fails(f, "\nnmae = x\n", ":2: unknown setting \"nmae\"; did you mean name?");
    assert_file_fails(f, "qqqqqqqq = x\n", ":1: unknown setting \"qqqqqqqq\"");
    assert_file_fails(f, "name\n", ":1: a setting is written name = value");
    assert_file_fails(f, "= x\n", ":1: a setting is written name = value");
    assert_file_fails(f, "name =\n", ":1: name: the value is empty");
    assert_file_fails(f, "item = , ,\n", ":1: item: the value is empty");
    assert_file_fails(f, "name = \"x\n", ":1: the closing \" is missing");
    assert_file_fails(f, "name = \"\n", ":1: the closing \" is missing");
    assert_file_fails(f, "name = \"\"\n", ":1: name: the value is empty");
    assert_file_fails(f, "[srve]\n", ":1: section [srve] is not known");
    assert_file_fails(f, "[serve\n", ":1: a section is written [name]");
    assert_file_fails(f, "[", ":1: a section is written [name]");
    assert_file_fails(f, "name = a\n\nname = b\n", ":3: name is set already in line 1");
    assert_file_fails(f, "count = 7x\n", ":1: count: \"7x\" is not a whole number");
    assert_file_fails(f, "config = x\n", ":1: config can't be set in a file");
    assert_file_fails(f, "once = yes\n", ":1: once can't be set in a file");
    assert_file_fails(f, "name = a\x01\n", ":1: control characters can't be in this file");
    write_file(f, "name = a\0b\n", 11);
    assert_int_equal(read_line(f, ""), -1);
    assert_non_null(strstr(f->error, ":1: control characters can't be in this file"));
    longest = malloc(SETTINGS_LINE_MAX + 2);
    memset(longest, '#', SETTINGS_LINE_MAX + 1);
    write_file(f, longest, SETTINGS_LINE_MAX);
    assert_int_equal(read_line(f, ""), 0);
    write_file(f, longest, SETTINGS_LINE_MAX + 1);
    free(longest);
    assert_int_equal(read_line(f, ""), -1);
    assert_non_null(strstr(f->error, ":1: the line is longer than 4096 bytes"));
    assert_fails(f, "--config /nonexistent/x.ini", "/nonexistent/x.ini: No such file or directory");
    assert_fails(f, "--config /tmp", "/tmp: Is a directory");
}

static void test_overridden_file_value_is_checked(void **state)
{
    struct fixture *f = *state;
    char expected[128];
    write_file(f, "count = 0\n", 10);
    snprintf(expected, sizeof expected, "%s:1: count: must be from 1 to 100", f->path);
    assert_fails(f, "--count 5", expected);
}

static void test_fixed_changes(void **state)
{
    struct fixture *f = *state;
    struct values before = {0};
    char *argv[] = {(char *)"serve", (char *)"--item=a", NULL};
    assert_int_equal(settings_read(&table, 2, argv, &before, NULL, NULL, f->error, sizeof f->error),
                     0);
    assert_int_equal(read_line(f, "--item a --count 9 --verbose"), 0);
    assert_null(settings_find_fixed_change(&table, &before, &f->values)); /* reloadable ones */
    assert_int_equal(read_line(f, "--item b"), 0);
    assert_string_equal(settings_find_fixed_change(&table, &before, &f->values), "item");
    assert_int_equal(read_line(f, "--item a --name other"), 0);
    assert_string_equal(settings_find_fixed_change(&table, &before, &f->values), "name");
    assert_int_equal(read_line(f, "--item a --color red"), 0);
    assert_string_equal(settings_find_fixed_change(&table, &before, &f->values), "color");
    settings_free(&table, &before);
}

/* What settings_answer_help() prints for one option. */
static char *help_of(const char *option, bool *ret_answered)
{
    char *argv[] = {(char *)"serve", (char *)"--bogus", (char *)"--name",
                    (char *)"-h",    (char *)option,    NULL};
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    *ret_answered = settings_answer_help(&table, 5, argv, stream);
    fclose(stream);
    return text;
}

static void test_help(void **state)
{
    bool answered;
    char *text = help_of("--help", &answered);
    assert_true(answered);
    assert_ptr_equal(
        strstr(text, "Usage: streamplex serve [OPTION]... HOST:PORT\n\nTests settings.\n"), text);
    assert_non_null(strstr(text, "  --help, -h\n        Prints this.\n"));
    assert_non_null(strstr(text, "  --once\n"));
    assert_non_null(
        strstr(text, "  --[no-]verbose\n        Says more.\n        Environment: TEST_VERBOSE.\n"));
    assert_non_null(strstr(
        text, "  --name NAME\n        A name.\n        Default: nobody. Environment: TEST_NAME or "
              "OLD_NAME or OLDER_NAME.\n"));
    assert_non_null(strstr(text, "        An item. May be given more than once.\n"));
    free(text);
    text = help_of("-h", &answered);
    assert_true(answered);
    free(text);
    text = help_of("--help=markdown", &answered);
    assert_true(answered);
    assert_non_null(
        strstr(text, "| `--count NUMBER` | `3` | `TEST_COUNT`, `OLD_COUNT` | yes | How many. |\n"));
    assert_non_null(strstr(text, "| `--color red\\|green\\|blue` | `green` |"));
    free(text);
    /* "-h" after --name is its value */
    text = help_of("--verbose", &answered);
    assert_false(answered);
    free(text);
}

/* Counts pairs; the names seen end up in *user. */
static int collect(void *user, const char *name, const char *value, int line, char *error,
                   size_t error_size)
{
    strcat(user, name);
    strcat(user, "=");
    strcat(user, value);
    strcat(user, ";");
    return 0;
}

static void test_ini_sections(void **state)
{
    static const char text[] = "a = 1\n[dial]\nb = 2\n[serve]\nc = 3\n[connect]\nd = 4 = 5\n";
    struct fixture *f = *state;
    char seen[128] = "";
    assert_int_equal(settings_parse_ini(text, sizeof text - 1, "x.ini", "serve", collect, seen,
                                        f->error, sizeof f->error),
                     0);
    assert_string_equal(seen, "a=1;c=3;");
    *seen = '\0';
    assert_int_equal(settings_parse_ini(text, sizeof text - 1, "x.ini", NULL, collect, seen,
                                        f->error, sizeof f->error),
                     0);
    assert_string_equal(seen, "a=1;b=2;c=3;d=4 = 5;");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_flags),
        TEST(test_an_underscore_is_as_a_dash),
        TEST(test_flag_errors),
        TEST(test_units),
        TEST(test_arguments_where_there_are_none),
        TEST(test_environment),
        TEST(test_reference_variables),
        TEST(test_file),
        TEST(test_file_errors),
        TEST(test_overridden_file_value_is_checked),
        TEST(test_fixed_changes),
        TEST(test_help),
        TEST(test_ini_sections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
