/* What the API does to sockets, with registry and store: claimed, changed, removed, and what a
 * token may serve of them. */
#include "net_test.h"

#include <dirent.h>

#include "control/accounts.h"
#include "server/api_glue.h"

static char folder[64], error[512];
static struct loop *loop;
static struct config *config;
static struct sockets *sockets;
static struct api_glue glue;
static struct api_host api;
static int changes[4]; /* by kind */

/* What was told last. */
static int told, told_error;
static struct socket_facts *told_facts;

static void publish(void *user, const struct registry_change *change)
{
    changes[change->kind]++;
}

static void close_tunnel(void *user, struct tunnel_ref ref, const char *reason)
{
    fail();
}

static void accept_at(void *user, unsigned worker, uint64_t socket, struct listening *listening)
{
    fail();
}

static void stop_accepting(void *user, unsigned worker, uint64_t socket)
{
    fail();
}

static void open_all(const char *edge)
{
    static const struct sockets_host host = {publish, close_tunnel, accept_at, stop_accepting,
                                             NULL};
    char *arguments[] = {
        "serve",         "--token",    "secret",      "--state",     folder,
        "--edge-domain", "edge.test",  "--api",       "127.0.0.1:0", "--edge-ports",
        "none",          (char *)edge, "127.0.0.1:0", NULL};
    int count = edge ? 13 : 11;
    if (config_load(count, arguments, &config, error, sizeof error) < 0)
        fail_msg("%s", error);
    config_set_edge_ports(config, 0, edge ? 8443 : 0);
    if (sockets_open(loop, config, &host, &sockets, error, sizeof error) < 0)
        fail_msg("%s", error);
    glue = (struct api_glue){.loop = loop, .sockets = sockets};
    assert_int_equal(api_glue_open(&glue, config, &api, error, sizeof error), 0);
}

static void close_all(void)
{
    socket_facts_unref(told_facts);
    told_facts = NULL;
    api_glue_deinit(&glue);
    sockets_close(sockets);
    config_unref(config);
}

static int set_up(void **state)
{
    memset(changes, 0, sizeof changes);
    told = 0;
    strcpy(folder, "/tmp/streamplex-glue-XXXXXX");
    if (!mkdtemp(folder) || loop_new(&loop) < 0)
        return -1;
    open_all("--edge-https");
    return 0;
}

static int tear_down(void **state)
{
    char path[512];
    close_all();
    loop_free(loop);
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        snprintf(path, sizeof path, "%s/%.200s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    closedir(entries);
    return rmdir(folder);
}

/* --- Asking, and waiting for the answer --- */

static void on_facts(void *user, int result, struct socket_facts *facts)
{
    socket_facts_unref(told_facts);
    told_facts = facts ? socket_facts_ref(facts) : NULL;
    told_error = result;
    told++;
}

static void on_done(void *user, int result)
{
    told_error = result;
    told++;
}

static bool is_told(void *user)
{
    return told > 0;
}

static int wait_told(void)
{
    int nothing = 0;
    test_run_until(loop, is_told, &nothing);
    assert_int_equal(told, 1);
    told = 0;
    return told_error;
}

static int claim(const char *name, const char *hostname)
{
    const struct socket_claim asked = {.owner = "ann",
                                       .name = name,
                                       .type = SOCKET_HTTPS,
                                       .hostname = hostname,
                                       .description = "what it is"};
    api.claim_socket(api.user, &asked, on_facts, NULL);
    return wait_told();
}

static void count_socket(void *user, struct socket_facts *facts, size_t agents)
{
    assert_int_equal(agents, 0);
    ++*(int *)user;
}

static int count_of(const char *owner)
{
    int count = 0;
    api.each_socket(api.user, owner, count_socket, &count);
    return count;
}

/* --- Tests --- */

static void test_a_claimed_socket_is_there_and_offline(void **state)
{
    char url[300];
    uint64_t before = api.sockets_version(api.user, "ann");
    assert_int_equal(claim("web", "mine"), REGISTRY_OK);
    assert_string_equal(told_facts->hostname, "mine.edge.test");
    assert_string_equal(told_facts->description, "what it is");
    assert_ptr_equal(api.find_socket(api.user, told_facts->uuid), told_facts);
    assert_int_equal(count_of("ann"), 1);
    assert_int_equal(count_of("bob"), 0);
    assert_int_not_equal(api.sockets_version(api.user, "ann"), before);
    api.socket_url(api.user, told_facts, url, sizeof url);
    assert_string_equal(url, "https://mine.edge.test:8443");
    assert_int_equal(changes[REGISTRY_PUT], 1);
    assert_int_equal(changes[REGISTRY_ONLINE], 0);
}

static void test_it_outlives_the_process(void **state)
{
    assert_int_equal(claim("web", "mine"), REGISTRY_OK);
    close_all();
    open_all("--edge-https");
    assert_int_equal(count_of("ann"), 1);
}

static void test_what_cannot_be_claimed(void **state)
{
    char long_name[400];
    memset(long_name, 'a', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(claim("a", "api"), REGISTRY_TAKEN); /* the API's own */
    assert_int_equal(claim("a", "Api.Edge.Test."), REGISTRY_TAKEN);
    assert_int_equal(claim("a", "www.example.com"), REGISTRY_NOT_ALLOWED);
    assert_int_equal(claim("a", long_name), REGISTRY_BAD_NAME);
    assert_int_equal(claim(long_name, NULL), REGISTRY_BAD_NAME);
    assert_int_equal(count_of(NULL), 0);
}

static void test_without_an_edge_there_are_none(void **state)
{
    close_all();
    open_all(NULL);
    assert_int_equal(claim("web", NULL), REGISTRY_NOT_ALLOWED);
}

static void test_a_change_is_published_and_kept(void **state)
{
    assert_int_equal(claim("web", "mine"), REGISTRY_OK);
    struct socket_facts values = socket_facts_values(told_facts);
    values.description = "another";
    values.https_only = true;
    struct socket_facts *wanted = socket_facts_new(&values);
    api.change_socket(api.user, wanted, on_facts, NULL);
    socket_facts_unref(wanted);
    assert_int_equal(wait_told(), REGISTRY_OK);
    assert_string_equal(api.find_socket(api.user, told_facts->uuid)->description, "another");
    assert_int_equal(changes[REGISTRY_PUT], 2);
    char uuid[UUID_SIZE];
    strcpy(uuid, told_facts->uuid);
    close_all();
    open_all("--edge-https");
    assert_true(api.find_socket(api.user, uuid)->https_only);
}

static void test_a_change_of_what_stays(void **state)
{
    assert_int_equal(claim("web", "mine"), REGISTRY_OK);
    struct socket_facts values = socket_facts_values(told_facts);
    values.owner = "bob";
    struct socket_facts *wanted = socket_facts_new(&values);
    api.change_socket(api.user, wanted, on_facts, NULL);
    socket_facts_unref(wanted);
    assert_int_not_equal(wait_told(), REGISTRY_OK);
    assert_int_equal(count_of("ann"), 1);
}

static void test_a_removed_socket_stays_away(void **state)
{
    assert_int_equal(claim("web", "mine"), REGISTRY_OK);
    api.remove_socket(api.user, told_facts->id, on_done, NULL);
    assert_int_equal(count_of("ann"), 1); /* until that is on disk */
    assert_int_equal(wait_told(), REGISTRY_OK);
    assert_int_equal(count_of("ann"), 0);
    assert_int_equal(changes[REGISTRY_REMOVE], 1);
    api.remove_socket(api.user, told_facts->id, on_done, NULL);
    assert_int_equal(wait_told(), REGISTRY_UNKNOWN);
    close_all();
    open_all("--edge-https");
    assert_int_equal(count_of("ann"), 0);
}

/* --- Scopes --- */

static void on_agents_answer(struct loop_message *message)
{
    struct socket_question *question = (struct socket_question *)(void *)message;
    on_facts(NULL, question->error, question->facts);
    socket_question_free(question);
}

static int serve(const char *scope, const char *name, const char *hostname)
{
    struct socket_question *question = socket_question_new();
    question->reply_to = loop;
    question->answered = on_agents_answer;
    question->type = SOCKET_HTTPS;
    question->grant = grant_new("ann", &(struct device_token){.sockets = (char *)scope}, NULL);
    strcpy(question->owner, "ann");
    strcpy(question->name, name);
    strcpy(question->service, "web");
    strcpy(question->hostname, hostname);
    sockets_ask(sockets, loop, question);
    return wait_told();
}

static void test_a_token_serves_what_it_may(void **state)
{
    assert_int_equal(claim("web", "mine"), REGISTRY_OK);
    assert_int_equal(claim("other", "its"), REGISTRY_OK);
    assert_int_equal(serve("web", "web", ""), REGISTRY_OK);
    assert_int_equal(serve("mine.edge.test", "web", ""), REGISTRY_OK);
    assert_int_equal(serve("web", "web", "MINE"), REGISTRY_OK);
    assert_int_equal(serve("new", "new", ""), REGISTRY_OK);
    assert_int_equal(serve("web", "other", ""), REGISTRY_SCOPE);
    assert_int_equal(serve("-", "web", ""), REGISTRY_SCOPE);
    /* nor by another's host name, nor by taking one for itself */
    assert_int_equal(serve("web", "web", "its"), REGISTRY_SCOPE);
    assert_int_equal(serve("web", "web", "fresh"), REGISTRY_SCOPE);
    assert_int_equal(serve("fresh.edge.test", "other", "fresh"), REGISTRY_SCOPE);
    assert_int_equal(serve("web,fresh.edge.test", "web", "fresh"), REGISTRY_OK);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        EACH(test_a_claimed_socket_is_there_and_offline),
        EACH(test_it_outlives_the_process),
        EACH(test_what_cannot_be_claimed),
        EACH(test_without_an_edge_there_are_none),
        EACH(test_a_change_is_published_and_kept),
        EACH(test_a_change_of_what_stays),
        EACH(test_a_removed_socket_stays_away),
        EACH(test_a_token_serves_what_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
