/* Who gets which name and port, and who is online. */
#include "registry_test.h"

#include <errno.h>

#include "registry/directory.h"

static struct registry *registry;
static struct directory *directory; /* what went out */

static int changes[4];           /* by kind */
static struct tunnel_ref closed; /* the last replaced one */
static int closed_count;
static uint64_t open_ports[8]; /* ids by port - FIRST_PORT */
static int busy_port;          /* of another program */
static int port_error;
static uint32_t dice;

#define FIRST_PORT 41000

/* --- What the tests share --- */

static void on_change(void *user, const struct registry_change *change)
{
    changes[change->kind]++;
    assert_int_equal(directory_apply(directory, change), 0);
}

static void on_replaced(void *user, struct tunnel_ref ref)
{
    closed = ref;
    closed_count++;
}

static int on_port(void *user, const struct socket_facts *facts, bool open)
{
    if (open && port_error)
        return port_error;
    if (open && facts->port == busy_port)
        return -EADDRINUSE;
    assert_in_range(facts->port, FIRST_PORT, FIRST_PORT + 7);
    uint64_t *id = &open_ports[facts->port - FIRST_PORT];
    assert_true(*id == 0 || *id == facts->id);
    *id = open ? facts->id : 0;
    return 0;
}

static const struct registry_callbacks callbacks = {on_change, on_replaced, on_port};
static const char *const custom[] = {"shop.example", "*.Dev.Example"};

static int next_dice(void *bytes, size_t size)
{
    memset(bytes, 0, size);
    memcpy(bytes, &dice, sizeof dice);
    dice++;
    return 0;
}

static struct registry_options options(void)
{
    return (struct registry_options){.domain = "Edge.Localhost",
                                     .custom_domains = custom,
                                     .custom_domain_count = 2,
                                     .first_port = FIRST_PORT,
                                     .last_port = FIRST_PORT + 3,
                                     .random = next_dice};
}

static void open_registry(const struct registry_options *wanted)
{
    assert_int_equal(registry_new(wanted, &callbacks, NULL, &registry), REGISTRY_OK);
    assert_int_equal(directory_new(&directory), 0);
}

static int set_up(void **state)
{
    const struct registry_options wanted = options();
    memset(changes, 0, sizeof changes);
    memset(open_ports, 0, sizeof open_ports);
    closed_count = busy_port = port_error = 0;
    dice = 0;
    open_registry(&wanted);
    return 0;
}

static int tear_down(void **state)
{
    registry_free(registry);
    directory_free(directory);
    return 0;
}

static struct socket_claim ask(const char *owner, const char *name, enum socket_type type,
                               const char *hostname)
{
    return (struct socket_claim){.owner = owner, .name = name, .type = type, .hostname = hostname};
}

/* Claims, and commits what has changed. The facts are borrowed from the registry. */
static struct socket_facts *claim_it(const struct socket_claim *claim)
{
    struct socket_facts *facts;
    bool is_changed;
    assert_int_equal(registry_claim(registry, claim, &facts, &is_changed), REGISTRY_OK);
    if (is_changed)
        registry_commit(registry, facts);
    assert_true(facts->references > 1);
    socket_facts_unref(facts);
    return facts;
}

static struct socket_facts *claim(const char *owner, const char *name, enum socket_type type,
                                  const char *hostname)
{
    const struct socket_claim asked = ask(owner, name, type, hostname);
    return claim_it(&asked);
}

static void assert_refused(int wanted, const char *owner, const char *name, enum socket_type type,
                           const char *hostname)
{
    const struct socket_claim asked = ask(owner, name, type, hostname);
    struct socket_facts *facts = NULL;
    bool is_changed;
    assert_int_equal(registry_claim(registry, &asked, &facts, &is_changed), wanted);
    assert_null(facts);
}

/* Claims without committing; the facts are the caller's. */
static struct socket_facts *reserve(const char *owner, const char *name, enum socket_type type,
                                    const char *hostname)
{
    const struct socket_claim asked = ask(owner, name, type, hostname);
    struct socket_facts *facts;
    bool is_changed;
    assert_int_equal(registry_claim(registry, &asked, &facts, &is_changed), REGISTRY_OK);
    assert_true(is_changed);
    return facts;
}

static uint64_t find(const char *host)
{
    const struct directory_entry *entry = directory_find_host(directory, host, strlen(host));
    return entry ? directory_facts(entry)->id : 0;
}

static void online(const struct socket_facts *facts, uint32_t slot, const char *instance)
{
    assert_int_equal(registry_online(registry, facts, test_ref(slot), "web", instance),
                     REGISTRY_OK);
}

static void assert_picks(const struct socket_facts *facts, int slot)
{
    struct presence *presence = registry_pick(registry, facts);
    if (slot < 0) {
        assert_null(presence);
        return;
    }
    assert_non_null(presence);
    assert_int_equal(presence->ref.slot, slot);
}

/* --- Names --- */

static void test_a_name_is_made_up_and_stays(void **state)
{
    const struct socket_facts *facts = claim("ann", "Youpi", SOCKET_HTTP, NULL);
    const char *dot = strchr(facts->hostname, '.');
    assert_string_equal(dot, ".edge.localhost");
    assert_string_equal(dot - 5, "-0000.edge.localhost");
    assert_int_equal(facts->id, 1);
    assert_true(facts->created > 1600000000);
    assert_ptr_equal(claim("ann", "Youpi", SOCKET_HTTP, NULL), facts);
    assert_int_equal(changes[REGISTRY_PUT], 1);
    assert_int_equal(find(facts->hostname), 1);
    assert_int_equal(registry_count(registry), 1);
}

static void test_a_made_up_name_that_is_taken_is_made_up_again(void **state)
{
    char first[REGISTRY_HOST_MAX];
    strcpy(first, claim("ann", "a", SOCKET_HTTP, NULL)->hostname);
    dice = 0;
    assert_string_not_equal(claim("bob", "a", SOCKET_HTTP, NULL)->hostname, first);
    assert_int_equal(dice, 3); /* its uuid is the third */
}

static void test_a_host_may_be_asked_for(void **state)
{
    assert_string_equal(claim("ann", "a", SOCKET_HTTP, "Foo")->hostname, "foo.edge.localhost");
    assert_string_equal(claim("ann", "b", SOCKET_HTTP, "BAR.edge.localhost.")->hostname,
                        "bar.edge.localhost");
    assert_string_equal(claim("ann", "c", SOCKET_HTTP, "shop.example")->hostname, "shop.example");
    assert_string_equal(claim("ann", "d", SOCKET_PASSTHROUGH, "x.dev.example")->hostname,
                        "x.dev.example");
    assert_string_equal(claim("ann", "e", SOCKET_HTTP, "2048")->hostname, "2048.edge.localhost");
}

static void test_hosts_that_nobody_may_have_are_refused(void **state)
{
    static const char *const foreign[] = {
        "edge.localhost", "a.b.edge.localhost", "example.com",    "www.shop.example",
        "dev.example",    "a.b.dev.example",    "xedge.localhost"};
    static const char *const bad[] = {"", "a b", "-a", "a..edge.localhost", "192.0.2.1", "a_b"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        assert_refused(REGISTRY_NOT_ALLOWED, "ann", "a", SOCKET_HTTP, foreign[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_refused(REGISTRY_BAD_NAME, "ann", "a", SOCKET_HTTP, bad[i]);
    assert_refused(REGISTRY_NOT_ALLOWED, "ann", "a", SOCKET_TCP, "foo");
    assert_int_equal(registry_count(registry), 0);
}

static void test_names_and_headers_that_would_harm_are_refused(void **state)
{
    char name[REGISTRY_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[REGISTRY_NAME_MAX + 1] = 0;
    assert_refused(REGISTRY_BAD_NAME, "ann", name, SOCKET_HTTP, NULL);
    assert_refused(REGISTRY_BAD_NAME, "ann", "", SOCKET_HTTP, NULL);
    assert_refused(REGISTRY_BAD_NAME, "ann", "a\nb", SOCKET_HTTP, NULL);
    assert_refused(REGISTRY_BAD_NAME, "ann", "\x1b[31m", SOCKET_HTTP, NULL);
    struct socket_claim asked = ask("ann", "a", SOCKET_HTTP, NULL);
    struct socket_facts *facts;
    bool is_changed;
    asked.host_header = "a\r\nX-Evil: 1";
    assert_int_equal(registry_claim(registry, &asked, &facts, &is_changed), REGISTRY_BAD_NAME);
    asked.host_header = "[::1]:3000";
    assert_string_equal(claim_it(&asked)->host_header, "[::1]:3000");
}

static void test_a_host_belongs_to_its_owner(void **state)
{
    const struct socket_facts *facts = claim("ann", "a", SOCKET_HTTP, "foo");
    assert_refused(REGISTRY_TAKEN, "bob", "a", SOCKET_HTTP, "foo");
    assert_refused(REGISTRY_TAKEN, "bob", "a", SOCKET_PASSTHROUGH, "foo.edge.localhost");
    /* another agent of the owner, by whatever name */
    assert_ptr_equal(claim("ann", "b", SOCKET_HTTP, "foo"), facts);
    assert_ptr_not_equal(claim("bob", "a", SOCKET_HTTP, NULL), facts);
}

static void test_another_type_is_refused_but_http_is_https(void **state)
{
    claim("ann", "a", SOCKET_HTTP, "foo");
    assert_refused(REGISTRY_OTHER_TYPE, "ann", "a", SOCKET_TCP, NULL);
    assert_refused(REGISTRY_OTHER_TYPE, "ann", "b", SOCKET_PASSTHROUGH, "foo");
    assert_int_equal(claim("ann", "a", SOCKET_HTTPS, NULL)->id, 1);
    assert_int_equal(changes[REGISTRY_PUT], 2);
}

static void test_changed_wishes_change_the_facts(void **state)
{
    struct socket_claim asked = ask("ann", "a", SOCKET_HTTP, "foo");
    claim_it(&asked);
    asked.https_only = true;
    asked.host_header = "localhost";
    const struct socket_facts *facts = claim_it(&asked);
    assert_int_equal(facts->id, 1);
    assert_true(facts->https_only);
    assert_string_equal(facts->host_header, "localhost");
    assert_ptr_equal(claim_it(&asked), facts);
    assert_int_equal(changes[REGISTRY_PUT], 2);
}

static void test_a_socket_moves_to_the_host_asked_for(void **state)
{
    claim("ann", "a", SOCKET_HTTP, "foo");
    struct socket_facts *facts = reserve("ann", "a", SOCKET_HTTP, "bar");
    /* until it is on disk, both are the socket's */
    assert_refused(REGISTRY_TAKEN, "bob", "b", SOCKET_HTTP, "foo");
    assert_refused(REGISTRY_TAKEN, "bob", "b", SOCKET_HTTP, "bar");
    assert_int_equal(find("foo.edge.localhost"), 1);
    registry_cancel(registry, facts);
    socket_facts_unref(facts);
    assert_int_equal(claim("bob", "b", SOCKET_HTTP, "bar")->id, 2);

    facts = reserve("ann", "a", SOCKET_HTTP, "baz");
    registry_commit(registry, facts);
    socket_facts_unref(facts);
    assert_int_equal(find("foo.edge.localhost"), 0);
    assert_int_equal(find("baz.edge.localhost"), 1);
    assert_int_equal(claim("bob", "c", SOCKET_HTTP, "foo")->id, 3);
}

static void test_a_new_socket_is_reserved_until_it_is_stored(void **state)
{
    struct socket_facts *facts = reserve("ann", "a", SOCKET_HTTP, "foo");
    struct socket_facts *again = reserve("ann", "a", SOCKET_HTTPS, "foo");
    assert_ptr_equal(facts, again);
    socket_facts_unref(again);
    assert_refused(REGISTRY_TAKEN, "bob", "b", SOCKET_HTTP, "foo");
    assert_int_equal(find("foo.edge.localhost"), 0); /* nobody is told of it yet */
    registry_cancel(registry, facts);
    registry_cancel(registry, facts); /* fine */
    registry_commit(registry, facts); /* too late */
    socket_facts_unref(facts);
    assert_int_equal(registry_count(registry), 0);
    assert_int_equal(changes[REGISTRY_PUT], 0);
    assert_int_equal(claim("bob", "b", SOCKET_HTTP, "foo")->id, 2); /* no id is given twice */
}

static void test_an_owner_has_so_many_sockets(void **state)
{
    struct registry_options wanted = options();
    wanted.max_sockets_per_owner = 2;
    assert_int_equal(registry_configure(registry, &wanted), REGISTRY_OK);
    claim("ann", "a", SOCKET_HTTP, NULL);
    struct socket_facts *facts = reserve("ann", "b", SOCKET_HTTP, NULL);
    assert_refused(REGISTRY_TOO_MANY, "ann", "c", SOCKET_HTTP, NULL);
    claim("ann", "a", SOCKET_HTTP, NULL); /* one that is there is no new one */
    claim("bob", "c", SOCKET_HTTP, NULL);
    registry_cancel(registry, facts);
    socket_facts_unref(facts);
    claim("ann", "c", SOCKET_HTTP, NULL);
    assert_refused(REGISTRY_TOO_MANY, "ann", "d", SOCKET_HTTP, NULL);
}

static void test_what_was_stored_is_there_again(void **state)
{
    struct socket_facts *http = test_facts(5, SOCKET_HTTP, "old.other.domain", 0);
    struct socket_facts *tcp = test_facts(6, SOCKET_TCP, "other.domain", 41001);
    struct socket_facts *same = test_facts(7, SOCKET_HTTP, "old.other.domain", 0);
    assert_int_equal(registry_load(registry, http), REGISTRY_OK);
    assert_int_equal(registry_load(registry, tcp), REGISTRY_OK);
    assert_int_equal(registry_load(registry, same), REGISTRY_TAKEN);
    registry_set_last_id(registry, 41);
    assert_int_equal(claim("ann", "name 5", SOCKET_HTTP, NULL)->id, 5);
    assert_string_equal(claim("ann", "name 5", SOCKET_HTTP, NULL)->hostname, "old.other.domain");
    /* the host of a port is today's domain */
    assert_string_equal(claim("ann", "name 6", SOCKET_TCP, NULL)->hostname, "edge.localhost");
    assert_int_equal(claim("ann", "name 6", SOCKET_TCP, NULL)->port, 41001);
    assert_int_equal(claim("ann", "new", SOCKET_HTTP, NULL)->id, 42);
    assert_int_equal(changes[REGISTRY_PUT], 3);
    socket_facts_unref(http);
    socket_facts_unref(tcp);
    socket_facts_unref(same);
}

static void test_bad_domains_change_nothing(void **state)
{
    static const char *const bad[] = {"*.*.example"};
    struct registry_options wanted = options();
    wanted.domain = "not a domain";
    assert_int_equal(registry_configure(registry, &wanted), REGISTRY_BAD_NAME);
    wanted = options();
    wanted.custom_domains = bad;
    wanted.custom_domain_count = 1;
    assert_int_equal(registry_configure(registry, &wanted), REGISTRY_BAD_NAME);
    assert_string_equal(claim("ann", "a", SOCKET_HTTP, "foo")->hostname, "foo.edge.localhost");
}

/* --- Ports --- */

static void test_ports_are_given_in_turn_and_stay(void **state)
{
    assert_int_equal(claim("ann", "a", SOCKET_TCP, NULL)->port, 41000);
    assert_int_equal(claim("bob", "a", SOCKET_TLS, NULL)->port, 41001);
    assert_int_equal(claim("ann", "a", SOCKET_TCP, NULL)->port, 41000);
    assert_int_equal(claim("cyd", "a", SOCKET_TCP, NULL)->port, 41002);
    assert_int_equal(claim("dan", "a", SOCKET_TCP, NULL)->port, 41003);
    assert_refused(REGISTRY_NO_PORT, "eve", "a", SOCKET_TCP, NULL);
    assert_string_equal(claim("ann", "a", SOCKET_TCP, NULL)->hostname, "edge.localhost");
}

static void test_a_port_in_use_is_passed_over(void **state)
{
    busy_port = 41000;
    const struct socket_facts *facts = claim("ann", "a", SOCKET_TCP, NULL);
    assert_int_equal(facts->port, 41001);
    busy_port = 0;
    claim("ann", "b", SOCKET_TCP, NULL);
    claim("ann", "c", SOCKET_TCP, NULL);
    assert_int_equal(claim("ann", "d", SOCKET_TCP, NULL)->port, 41000);
}

static void test_without_descriptors_no_port_is_tried_after_another(void **state)
{
    port_error = -EMFILE;
    assert_refused(REGISTRY_NO_PORT, "ann", "a", SOCKET_TCP, NULL);
    port_error = 0;
    assert_int_equal(claim("ann", "a", SOCKET_TCP, NULL)->port, 41000);
}

static void test_without_a_range_there_are_no_ports(void **state)
{
    struct registry_options wanted = options();
    wanted.first_port = wanted.last_port = 0;
    assert_int_equal(registry_configure(registry, &wanted), REGISTRY_OK);
    assert_refused(REGISTRY_NO_PORT, "ann", "a", SOCKET_TCP, NULL);
}

static void test_a_cancelled_port_is_free_and_closed(void **state)
{
    struct socket_facts *facts = reserve("ann", "a", SOCKET_TCP, NULL);
    assert_int_equal(open_ports[0], facts->id);
    registry_cancel(registry, facts);
    socket_facts_unref(facts);
    assert_int_equal(open_ports[0], 0);
    for (int i = 0; i < 3; i++) /* the others come first */
        assert_int_not_equal(
            claim("ann", (const char *[]){"b", "c", "d"}[i], SOCKET_TCP, NULL)->port, 41000);
    assert_int_equal(claim("ann", "e", SOCKET_TCP, NULL)->port, 41000);
}

static void test_a_port_is_open_while_somebody_serves_it(void **state)
{
    const struct socket_facts *facts = claim("ann", "a", SOCKET_TCP, NULL);
    online(facts, 1, "");
    online(facts, 2, "");
    registry_offline(registry, test_ref(1));
    assert_int_equal(open_ports[0], facts->id);
    registry_offline(registry, test_ref(2));
    assert_int_equal(open_ports[0], 0);
    online(facts, 3, "");
    assert_int_equal(open_ports[0], facts->id);
    registry_offline(registry, test_ref(3));
    busy_port = 41000;
    assert_int_equal(registry_online(registry, facts, test_ref(4), "web", ""), REGISTRY_NO_PORT);
    assert_picks(facts, -1);
}

/* --- Tunnels --- */

static void test_agents_share_a_socket(void **state)
{
    const struct socket_facts *facts = claim("ann", "a", SOCKET_HTTP, "foo");
    online(facts, 1, "x");
    online(facts, 2, "y");
    assert_picks(facts, 1);
    assert_picks(facts, 2);
    assert_picks(facts, 1);
    registry_pick(registry, facts)->busy = 1;
    assert_picks(facts, 1);
    assert_picks(facts, 1);
    registry_offline(registry, test_ref(1));
    assert_picks(facts, 2);
    registry_offline(registry, test_ref(1)); /* unknown ones are fine */
    registry_offline(registry, test_ref(2));
    assert_picks(facts, -1);
    assert_int_equal(directory_presences(directory_find_id(directory, facts->id)), 0);
    assert_int_equal(closed_count, 0);
}

static void test_a_tunnel_that_goes_leaves_all_its_sockets(void **state)
{
    const struct socket_facts *a = claim("ann", "a", SOCKET_HTTP, NULL);
    const struct socket_facts *b = claim("ann", "b", SOCKET_TCP, NULL);
    online(a, 1, "x");
    online(b, 1, "x");
    online(a, 2, "y");
    registry_offline(registry, test_ref(1));
    assert_picks(a, 2);
    assert_picks(b, -1);
    assert_int_equal(changes[REGISTRY_OFFLINE], 2);
}

static void test_an_agents_newer_self_takes_its_place(void **state)
{
    const struct socket_facts *facts = claim("ann", "a", SOCKET_TCP, NULL);
    online(facts, 1, "x");
    online(facts, 2, "y");
    online(facts, 3, "x");
    assert_int_equal(closed_count, 1);
    assert_int_equal(closed.slot, 1);
    assert_int_equal(directory_presences(directory_find_id(directory, facts->id)), 2);
    registry_offline(registry, test_ref(1)); /* when it is closed */
    assert_picks(facts, 2);
    assert_picks(facts, 3);
    assert_picks(facts, 2);
    assert_int_equal(open_ports[0], facts->id);
}

static void test_a_tunnel_that_asks_again_replaces_itself_quietly(void **state)
{
    const struct socket_facts *facts = claim("ann", "a", SOCKET_HTTP, NULL);
    online(facts, 1, "x");
    assert_int_equal(registry_online(registry, facts, test_ref(1), "other", "x"), REGISTRY_OK);
    assert_int_equal(closed_count, 0);
    assert_string_equal(registry_pick(registry, facts)->service, "other");
    assert_int_equal(directory_presences(directory_find_id(directory, facts->id)), 1);
}

static void test_agents_without_an_instance_replace_nobody(void **state)
{
    const struct socket_facts *facts = claim("ann", "a", SOCKET_HTTP, NULL);
    online(facts, 1, "");
    online(facts, 2, "");
    assert_int_equal(closed_count, 0);
    assert_int_equal(directory_presences(directory_find_id(directory, facts->id)), 2);
}

static void apply_to_copy(void *user, const struct registry_change *change)
{
    assert_int_equal(directory_apply(user, change), 0);
}

static void test_a_new_directory_gets_all(void **state)
{
    struct directory *copy;
    const struct socket_facts *facts = claim("ann", "a", SOCKET_HTTP, "foo");
    struct socket_facts *reserved = reserve("ann", "b", SOCKET_HTTP, "bar");
    online(facts, 1, "x");
    online(facts, 2, "y");
    assert_int_equal(directory_new(&copy), 0);
    registry_each(registry, apply_to_copy, copy);
    assert_int_equal(directory_presences(directory_find_id(copy, facts->id)), 2);
    assert_null(directory_find_id(copy, reserved->id));
    directory_free(copy);
    socket_facts_unref(reserved);
}

/* --- What the API does --- */

/* New facts like those of the socket; the caller's. */
static struct socket_facts *like(const struct socket_facts *facts, const char *name,
                                 const char *description)
{
    struct socket_facts values = *facts;
    values.name = (char *)name;
    values.description = (char *)description;
    struct socket_facts *copy = socket_facts_new(&values);
    assert_non_null(copy);
    return copy;
}

static int change(const struct socket_facts *facts, const char *name, const char *description)
{
    struct socket_facts *copy = like(facts, name, description);
    int error = registry_change(registry, copy);
    socket_facts_unref(copy);
    return error;
}

static void test_a_socket_is_found_by_its_uuid(void **state)
{
    const struct socket_facts *a = claim("ann", "a", SOCKET_HTTP, NULL);
    const struct socket_facts *b = claim("ann", "b", SOCKET_HTTP, NULL);
    assert_true(uuid_is_valid(a->uuid));
    assert_string_not_equal(a->uuid, b->uuid);
    assert_ptr_equal(registry_find_uuid(registry, b->uuid), b);
    assert_ptr_equal(registry_find_id(registry, a->id), a);
    assert_null(registry_find_uuid(registry, "nobody"));
    assert_null(registry_find_uuid(registry, ""));
    struct socket_facts *reserved = reserve("ann", "c", SOCKET_HTTP, NULL);
    assert_null(registry_find_uuid(registry, reserved->uuid)); /* not on disk yet */
    registry_cancel(registry, reserved);
    socket_facts_unref(reserved);
}

static void test_an_agent_keeps_what_the_api_has_set(void **state)
{
    struct socket_access access = {.is_protected = true, .username = "u", .rate = 5};
    struct socket_claim asked = ask("ann", "a", SOCKET_HTTP, "foo");
    asked.description = "the door";
    asked.access = &access;
    struct socket_facts *facts = claim_it(&asked);
    assert_string_equal(facts->access->username, "u");
    assert_ptr_equal(claim("ann", "a", SOCKET_HTTP, "foo"), facts); /* an agent's: no change */
    facts = claim("ann", "a", SOCKET_HTTPS, "bar");
    assert_string_equal(facts->description, "the door");
    assert_int_equal(facts->access->rate, 5);
    asked.description = "a \x1b[31mdoor";
    assert_refused(REGISTRY_TAKEN, "bob", "x", SOCKET_HTTP, "bar");
    bool is_changed;
    assert_int_equal(registry_claim(registry, &asked, &facts, &is_changed), REGISTRY_BAD_NAME);
}

static void test_facts_are_changed_and_go_out(void **state)
{
    struct socket_facts *facts = claim("ann", "a", SOCKET_HTTP, "foo");
    claim("ann", "b", SOCKET_HTTP, "bar");
    online(facts, 1, "x");
    assert_int_equal(change(facts, "a", "words"), REGISTRY_OK);
    assert_int_equal(changes[REGISTRY_PUT], 3);
    facts = registry_find_id(registry, 1);
    assert_string_equal(facts->description, "words");
    assert_picks(facts, 1);
    /* a name is free again when it isn't the socket's any more, and never another's */
    assert_int_equal(change(facts, "b", NULL), REGISTRY_TAKEN);
    assert_int_equal(change(facts, "", NULL), REGISTRY_BAD_NAME);
    assert_int_equal(change(facts, "a", "\xff"), REGISTRY_BAD_NAME);
    assert_int_equal(change(facts, "c", NULL), REGISTRY_OK);
    assert_int_equal(claim("ann", "c", SOCKET_HTTP, NULL)->id, 1);
    assert_int_equal(claim("ann", "a", SOCKET_HTTP, NULL)->id, 3);
}

static void test_what_a_socket_is_can_not_be_changed(void **state)
{
    const struct socket_facts *facts = claim("ann", "a", SOCKET_HTTP, "foo");
    struct socket_facts values = *facts;
    struct {
        struct socket_facts values;
        int error;
    } cases[5] = {{values, REGISTRY_NOT_ALLOWED},
                  {values, REGISTRY_NOT_ALLOWED},
                  {values, REGISTRY_NOT_ALLOWED},
                  {values, REGISTRY_OTHER_TYPE},
                  {values, REGISTRY_UNKNOWN}};
    cases[0].values.hostname = "bar.edge.localhost";
    cases[1].values.port = 41001;
    cases[2].values.owner = "bob";
    cases[3].values.type = SOCKET_TCP;
    cases[4].values.id = 77;
    for (size_t i = 0; i < 5; i++) {
        struct socket_facts *wrong = socket_facts_new(&cases[i].values);
        assert_int_equal(registry_change(registry, wrong), cases[i].error);
        socket_facts_unref(wrong);
    }
    assert_int_equal(changes[REGISTRY_PUT], 1);
}

static void test_a_change_is_reserved_until_it_is_stored(void **state)
{
    const struct socket_facts *before = claim("ann", "a", SOCKET_HTTP, "foo");
    struct socket_facts *facts = like(before, "b", "words");
    assert_int_equal(registry_reserve(registry, facts), REGISTRY_OK);
    assert_int_equal(change(before, "c", NULL), REGISTRY_BUSY);
    struct socket_facts *again = reserve("ann", "a", SOCKET_HTTP, "foo");
    assert_ptr_equal(again, facts); /* an agent's claim waits for it */
    socket_facts_unref(again);
    assert_null(registry_find_id(registry, 1)->description);
    registry_cancel(registry, facts);
    assert_int_equal(claim("ann", "b", SOCKET_HTTP, NULL)->id, 2);
    assert_ptr_equal(registry_find_id(registry, 1), before);
    socket_facts_unref(facts);
}

static void test_a_removed_socket_is_gone_with_all(void **state)
{
    struct socket_facts *facts = claim("ann", "a", SOCKET_TCP, NULL);
    struct socket_facts *other = claim("ann", "b", SOCKET_HTTP, "foo");
    online(facts, 1, "x");
    online(facts, 2, "y");
    online(other, 1, "x");
    uint64_t id = facts->id;
    assert_int_equal(registry_remove(registry, id), REGISTRY_OK);
    assert_int_equal(changes[REGISTRY_OFFLINE], 2);
    assert_int_equal(changes[REGISTRY_REMOVE], 1);
    assert_int_equal(open_ports[0], 0);
    assert_null(directory_find_id(directory, id));
    assert_int_equal(registry_remove(registry, id), REGISTRY_UNKNOWN);
    assert_picks(other, 1);
    registry_offline(registry, test_ref(1));
    registry_offline(registry, test_ref(2));
    /* its host name and name are free, its id isn't */
    assert_int_equal(registry_remove(registry, other->id), REGISTRY_OK);
    assert_int_equal(find("foo.edge.localhost"), 0);
    assert_int_equal(claim("bob", "b", SOCKET_HTTP, "foo")->id, 3);
    assert_int_equal(claim("ann", "a", SOCKET_HTTP, NULL)->id, 4);
}

static void test_what_is_reserved_of_a_removed_socket_comes_to_nothing(void **state)
{
    claim("ann", "a", SOCKET_HTTP, "foo");
    struct socket_facts *facts = reserve("ann", "a", SOCKET_HTTP, "bar");
    assert_int_equal(registry_remove(registry, 1), REGISTRY_OK);
    registry_commit(registry, facts);
    assert_int_equal(registry_count(registry), 0);
    assert_int_equal(find("bar.edge.localhost"), 0);
    socket_facts_unref(facts);
    facts = reserve("ann", "a", SOCKET_HTTP, "foo");
    assert_int_equal(registry_remove(registry, facts->id), REGISTRY_UNKNOWN); /* never was */
    registry_commit(registry, facts);
    assert_int_equal(find("foo.edge.localhost"), 2);
    socket_facts_unref(facts);
}

struct listing {
    uint64_t ids[8];
    size_t count, presences;
};

static void list_one(void *user, struct socket_facts *facts, size_t presences)
{
    struct listing *listing = user;
    assert_true(listing->count < 8);
    listing->ids[listing->count++] = facts->id;
    listing->presences += presences;
}

static struct listing list(const char *owner)
{
    struct listing listing = {.count = 0};
    registry_each_of(registry, owner, list_one, &listing);
    return listing;
}

static void test_sockets_of_an_owner_are_listed_in_order(void **state)
{
    struct socket_facts *late = test_facts(9, SOCKET_HTTP, "nine.example", 0);
    struct socket_facts *early = test_facts(5, SOCKET_HTTP, "five.example", 0);
    assert_int_equal(registry_load(registry, late), REGISTRY_OK);
    assert_int_equal(registry_load(registry, early), REGISTRY_OK);
    claim("bob", "a", SOCKET_HTTP, NULL);
    online(claim("ann", "a", SOCKET_HTTP, NULL), 1, "x");
    struct socket_facts *reserved = reserve("ann", "b", SOCKET_HTTP, NULL);
    struct listing listing = list("ann");
    const uint64_t wanted[] = {5, 9, 11};
    assert_int_equal(listing.count, 3);
    assert_memory_equal(listing.ids, wanted, sizeof wanted);
    assert_int_equal(listing.presences, 1);
    assert_int_equal(registry_remove(registry, 5), REGISTRY_OK);
    assert_int_equal(list("ann").ids[0], 9);
    assert_int_equal(registry_remove(registry, 11), REGISTRY_OK);
    assert_int_equal(list("ann").count, 1);
    assert_int_equal(list("bob").count, 1);
    assert_int_equal(list("cyd").count, 0);
    assert_int_equal(list(NULL).count, 2);
    socket_facts_unref(reserved);
    socket_facts_unref(late);
    socket_facts_unref(early);
}

static void test_a_version_changes_with_the_list(void **state)
{
    assert_int_equal(registry_version(registry, "ann"), 0);
    const struct socket_facts *facts = claim("ann", "a", SOCKET_HTTP, NULL);
    uint64_t first = registry_version(registry, "ann");
    claim("bob", "a", SOCKET_HTTP, NULL);
    assert_int_not_equal(first, 0);
    assert_int_equal(registry_version(registry, "ann"), first);
    online(facts, 1, "x");
    uint64_t second = registry_version(registry, "ann");
    assert_int_not_equal(second, first);
    assert_int_equal(change(facts, "a", "words"), REGISTRY_OK);
    assert_int_not_equal(registry_version(registry, "ann"), second);
    assert_int_equal(registry_remove(registry, 1), REGISTRY_OK);
    assert_int_equal(registry_version(registry, "ann"), 0);
    claim("ann", "a", SOCKET_HTTP, NULL);
    assert_true(registry_version(registry, "ann") > second);
}

/* --- Words --- */

static void test_types_and_errors_have_words(void **state)
{
    for (int type = SOCKET_HTTP; type <= SOCKET_PASSTHROUGH; type++)
        assert_int_equal(socket_type_parse(socket_type_name((enum socket_type)type)), type);
    assert_int_equal(socket_type_parse("HTTP"), -1);
    assert_int_equal(socket_type_parse(""), -1);
    assert_string_equal(registry_error_name(REGISTRY_TAKEN), "NAME_TAKEN");
    assert_string_equal(registry_error_name(REGISTRY_DRAINING), "DRAINING");
    assert_string_equal(registry_error_name(REGISTRY_NO_PORT), "PORTS_EXHAUSTED");
    assert_string_equal(registry_error_name(-1000), "UNKNOWN");
    assert_string_equal(registry_error_name(1), "UNKNOWN");
    assert_string_equal(registry_error_name(REGISTRY_UNKNOWN), "UNKNOWN_SOCKET");
    for (int error = REGISTRY_NO_HTTPS; error < 0; error++)
        assert_true(strlen(registry_error_text(error)) > 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_name_is_made_up_and_stays),
        TEST(test_a_made_up_name_that_is_taken_is_made_up_again),
        TEST(test_a_host_may_be_asked_for),
        TEST(test_hosts_that_nobody_may_have_are_refused),
        TEST(test_names_and_headers_that_would_harm_are_refused),
        TEST(test_a_host_belongs_to_its_owner),
        TEST(test_another_type_is_refused_but_http_is_https),
        TEST(test_changed_wishes_change_the_facts),
        TEST(test_a_socket_moves_to_the_host_asked_for),
        TEST(test_a_new_socket_is_reserved_until_it_is_stored),
        TEST(test_an_owner_has_so_many_sockets),
        TEST(test_what_was_stored_is_there_again),
        TEST(test_bad_domains_change_nothing),
        TEST(test_ports_are_given_in_turn_and_stay),
        TEST(test_a_port_in_use_is_passed_over),
        TEST(test_without_descriptors_no_port_is_tried_after_another),
        TEST(test_without_a_range_there_are_no_ports),
        TEST(test_a_cancelled_port_is_free_and_closed),
        TEST(test_a_port_is_open_while_somebody_serves_it),
        TEST(test_agents_share_a_socket),
        TEST(test_a_tunnel_that_goes_leaves_all_its_sockets),
        TEST(test_an_agents_newer_self_takes_its_place),
        TEST(test_a_tunnel_that_asks_again_replaces_itself_quietly),
        TEST(test_agents_without_an_instance_replace_nobody),
        TEST(test_a_new_directory_gets_all),
        TEST(test_a_socket_is_found_by_its_uuid),
        TEST(test_an_agent_keeps_what_the_api_has_set),
        TEST(test_facts_are_changed_and_go_out),
        TEST(test_what_a_socket_is_can_not_be_changed),
        TEST(test_a_change_is_reserved_until_it_is_stored),
        TEST(test_a_removed_socket_is_gone_with_all),
        TEST(test_what_is_reserved_of_a_removed_socket_comes_to_nothing),
        TEST(test_sockets_of_an_owner_are_listed_in_order),
        TEST(test_a_version_changes_with_the_list),
        TEST(test_types_and_errors_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
