/* What an agent registers, over two engines joined in memory; the sockets' side is a fake that
 * keeps the questions. */
#include "tunnel_rig.h"

#include "fake_registry.h"
#include "server/inbound.h"
#include "server/registration.h"
#include "server/sockets.h"

#define REGISTER(NAME)                                                                             \
    "{\"register\":{\"service\":\"web\",\"name\":\"" NAME "\",\"type\":\"https\","                 \
    "\"instance\":\"3f2a\"}}"

/* --- the sockets --- */

static struct socket_question *asked[256];
static size_t asked_count, live_questions;
static struct tunnel_ref gone[8];
static size_t gone_count;

struct socket_question *socket_question_new(void)
{
    live_questions++;
    return calloc(1, sizeof(struct socket_question));
}

void socket_question_free(struct socket_question *question)
{
    if (question)
        live_questions--;
    free(question);
}

void sockets_ask(struct sockets *sockets, struct loop *main_loop, struct socket_question *question)
{
    assert_true(asked_count < 256);
    asked[asked_count++] = question;
}

void sockets_tunnel_gone(struct sockets *sockets, struct loop *main_loop, struct tunnel_ref ref)
{
    assert_true(gone_count < 8);
    gone[gone_count++] = ref;
}

WEAK int inbound_open_remote(struct worker *worker, struct presence *presence, const char *visitor,
                             const struct inbound_callbacks *callbacks, void *user,
                             struct inbound **ret_inbound)
{
    return -1;
}

static struct socket_facts facts = {
    .type = SOCKET_HTTPS,
    .hostname = (char *)"shy-bush-6765.edge.localhost",
};

/* The oldest question is answered, and the answer has come to the worker. */
static void answer_next(struct rig *rig, int error)
{
    assert_true(asked_count > 0);
    struct socket_question *question = asked[0];
    memmove(asked, asked + 1, --asked_count * sizeof asked[0]);
    question->error = error;
    question->facts = error ? NULL : &facts;
    question->port = 443;
    strcpy(question->url, "https://shy-bush-6765.edge.localhost");
    question->answered(&question->message);
    if (rig->tunnel)
        rig_run(rig);
}

static const char *outbox[1024];

/* The agent says these messages, and what can be exchanged is. */
static void say_all(struct rig *rig, const char *const *messages, size_t count)
{
    assert_true(count < 1024);
    memcpy(outbox, messages, count * sizeof outbox[0]);
    outbox[count] = NULL;
    rig->device.messages = outbox;
    plex_session_message_ready(rig->device.session);
    rig_run(rig);
}

static void agent_says(struct rig *rig, const char *message)
{
    say_all(rig, &message, 1);
}

static struct rig *start(void)
{
    struct rig *rig = rig_new(PLEX_FEATURES_ALL);
    asked_count = gone_count = live_questions = 0;
    rig->host.sockets = (struct sockets *)rig; /* only whether there are any is looked at */
    return rig;
}

static void finish(struct rig *rig)
{
    rig_free(rig, registration_free);
    assert_int_equal(live_questions, 0);
}

/* --- tests --- */

static void test_registered(void **state)
{
    struct rig *rig = start();
    agent_says(rig, "{\"register\":{\"service\":\"web\",\"name\":\"Youpi\",\"type\":\"https\","
                    "\"instance\":\"3f2a\",\"hostname\":\"www.example.com\",\"https_only\":true,"
                    "\"host_header\":\"localhost\"}}");
    assert_int_equal(asked_count, 1);
    const struct socket_question *question = asked[0];
    assert_string_equal(question->owner, "me");
    assert_string_equal(question->name, "Youpi");
    assert_string_equal(question->service, "web");
    assert_string_equal(question->instance, "3f2a");
    assert_string_equal(question->hostname, "www.example.com");
    assert_string_equal(question->host_header, "localhost");
    assert_int_equal(question->type, SOCKET_HTTPS);
    assert_true(question->https_only);
    assert_int_equal(question->ref.slot, rig->tunnel->slot);
    assert_int_equal(question->ref.generation, rig->tunnel->generation);
    assert_int_equal(question->ref.worker, 0);
    assert_ptr_equal(question->reply_to, rig->worker->loop);
    side_expect(&rig->device, "");
    answer_next(rig, REGISTRY_OK);
    side_expect(&rig->device,
                "message {\"registered\":{\"service\":\"web\",\"type\":\"https\",\"hostname\":"
                "\"shy-bush-6765.edge.localhost\",\"port\":443,\"url\":"
                "\"https://shy-bush-6765.edge.localhost\"}}\n");
    finish(rig);
}

static void test_refused_by_the_sockets(void **state)
{
    struct rig *rig = start();
    char expected[512];
    agent_says(rig, REGISTER("Youpi"));
    answer_next(rig, REGISTRY_TAKEN);
    snprintf(expected, sizeof expected,
             "message {\"refused\":{\"service\":\"web\",\"code\":\"NAME_TAKEN\",\"message\":"
             "\"%s\"}}\n",
             registry_error_text(REGISTRY_TAKEN));
    side_expect(&rig->device, expected);
    finish(rig);
}

static void expect_refused(struct rig *rig, const char *code, const char *message)
{
    char expected[512];
    snprintf(expected, sizeof expected,
             "message {\"refused\":{\"service\":\"web\",\"code\":\"%s\",\"message\":\"%s\"}}\n",
             code, message);
    side_expect(&rig->device, expected);
    assert_int_equal(asked_count, 0);
}

static void test_bad_ones_are_refused_here(void **state)
{
    struct rig *rig = start();
    agent_says(rig, "{\"register\":{\"service\":\"web\",\"name\":\"n\",\"type\":\"gopher\","
                    "\"instance\":\"i\"}}");
    expect_refused(rig, "BAD_REGISTER", "type must be http, https, tls, tcp or passthrough");
    agent_says(rig, "{\"register\":{\"service\":\"web\",\"type\":\"http\",\"instance\":\"i\"}}");
    expect_refused(rig, "BAD_REGISTER",
                   "name must be a text of 1 to 64 bytes without control characters");
    finish(rig);
}

static void test_messages_that_nobody_answers(void **state)
{
    struct rig *rig = start();
    log_configure(LOG_ERROR, LOG_TEXT_FORMAT);
    agent_says(rig, "{\"register\":{\"name\":\"n\"}}");
    agent_says(rig, "{\"register\":[]}");
    agent_says(rig, "{\"unregister\":{}}");
    agent_says(rig, "{\"visit\":{\"service\":\"web\"}}");
    side_expect(&rig->device, "");
    assert_int_equal(asked_count, 0);
    assert_null(rig->tunnel->finish_reason);
    finish(rig);
}

static void test_a_server_without_edge(void **state)
{
    struct rig *rig = start();
    rig->host.sockets = NULL;
    agent_says(rig, REGISTER("Youpi"));
    expect_refused(rig, "EDGE_OFF", "this server has no edge");
    rig_close_tunnel(rig, registration_free);
    assert_int_equal(gone_count, 0);
    finish(rig);
}

static void test_an_owner_that_is_too_long(void **state)
{
    struct rig *rig = start();
    free(rig->tunnel->owner);
    rig->tunnel->owner = malloc(REGISTRY_OWNER_MAX + 2);
    memset(rig->tunnel->owner, 'o', REGISTRY_OWNER_MAX + 1);
    rig->tunnel->owner[REGISTRY_OWNER_MAX + 1] = 0;
    agent_says(rig, REGISTER("Youpi"));
    expect_refused(rig, "BAD_REGISTER", "the owner's name is too long");
    finish(rig);
}

/* Reading stops at 16; nothing is lost, and it goes on with each answer. */
static void test_questions_under_way(void **state)
{
    struct rig *rig = start();
    static char texts[40][128];
    const char *messages[40];
    for (int i = 0; i < 40; i++) {
        snprintf(texts[i], sizeof texts[i], REGISTER("n%d"), i);
        messages[i] = texts[i];
    }
    /* As a connection does it: what the session doesn't take is kept. */
    static uint8_t buffer[PLEX_PULL_MAX];
    memcpy(outbox, messages, sizeof messages);
    outbox[40] = NULL;
    rig->device.messages = outbox;
    plex_session_message_ready(rig->device.session);
    size_t size = plex_session_pull(rig->device.session, buffer, sizeof buffer, rig->now);
    size_t taken = 0, at = 0, seen = 0;
    while (at < size) {
        assert_int_equal(
            plex_session_feed(rig->tunnel->session, buffer + at, size - at, rig->now, &taken), 0);
        at += taken;
        assert_true(asked_count <= 16);
        if (at == size)
            break;
        assert_int_equal(asked_count, 16);
        assert_false(plex_session_can_take(rig->tunnel->session));
        seen++;
        answer_next(rig, REGISTRY_OK);
        assert_true(plex_session_can_take(rig->tunnel->session));
        assert_true(rig->tunnel->read_on);
    }
    assert_int_equal(seen, 24);
    while (asked_count)
        answer_next(rig, REGISTRY_OK);
    size_t answers = 0;
    for (const char *at_text = rig->device.log; (at_text = strstr(at_text, "registered"));
         answers++)
        at_text++;
    assert_int_equal(answers, 40);
    finish(rig);
}

/* An agent that doesn't read its answers isn't read either. */
static void test_answers_that_nobody_reads(void **state)
{
    struct rig *rig = start();
    static const char json[] =
        "{\"type\":\"message\",\"object\":{\"register\":{\"service\":\"web\"}}}";
    uint8_t bytes[128];
    size_t size = frame(bytes, 0, 1, json, strlen(json)), taken = size;
    int count = 0;
    while (plex_session_can_take(rig->tunnel->session) && count < 1000) {
        assert_int_equal(plex_session_feed(rig->tunnel->session, bytes, size, rig->now, &taken), 0);
        count++;
    }
    assert_int_equal(count, 64);
    rig_run(rig);
    assert_true(plex_session_can_take(rig->tunnel->session));
    finish(rig);
}

static void test_64_sockets_and_no_more(void **state)
{
    struct rig *rig = start();
    static char text[128];
    rig->device.mute = true;
    for (int i = 0; i < 64; i++) {
        snprintf(text, sizeof text, REGISTER("n%d"), i);
        agent_says(rig, text);
        answer_next(rig, REGISTRY_OK);
    }
    rig->device.mute = false;
    agent_says(rig, REGISTER("one more"));
    expect_refused(rig, "TOO_MANY_SOCKETS", "a tunnel serves at most 64 sockets");
    agent_says(rig, REGISTER("n7")); /* it has that one */
    assert_int_equal(asked_count, 1);
    answer_next(rig, REGISTRY_OK);
    finish(rig);
}

/* What was refused doesn't count, unless it is served from before. */
static void test_refused_ones_make_room(void **state)
{
    struct rig *rig = start();
    static char text[128];
    rig->device.mute = true;
    for (int i = 0; i < 63; i++) {
        snprintf(text, sizeof text, REGISTER("n%d"), i);
        agent_says(rig, text);
        answer_next(rig, REGISTRY_OK);
    }
    for (int i = 0; i < 3; i++) {
        agent_says(rig, REGISTER("refused"));
        answer_next(rig, REGISTRY_TAKEN);
        agent_says(rig, REGISTER("n7"));
        answer_next(rig, REGISTRY_TAKEN);
    }
    agent_says(rig, REGISTER("last"));
    assert_int_equal(asked_count, 1);
    answer_next(rig, REGISTRY_OK);
    agent_says(rig, REGISTER("one more"));
    assert_int_equal(asked_count, 0);
    finish(rig);
}

static void test_the_tunnel_closes(void **state)
{
    struct rig *rig = start();
    struct tunnel_ref ref = {.slot = rig->tunnel->slot, .generation = rig->tunnel->generation};
    agent_says(rig, REGISTER("Youpi"));
    agent_says(rig, REGISTER("Yop"));
    answer_next(rig, REGISTRY_OK);
    rig_close_tunnel(rig, registration_free);
    assert_int_equal(gone_count, 1);
    assert_memory_equal(&gone[0], &ref, sizeof ref);
    /* It may have come online behind the word of its end: that is told again. */
    answer_next(rig, REGISTRY_OK);
    assert_int_equal(gone_count, 2);
    assert_memory_equal(&gone[1], &ref, sizeof ref);
    finish(rig);
}

static void test_an_answer_to_a_slot_that_is_anothers(void **state)
{
    struct rig *rig = start();
    agent_says(rig, REGISTER("Youpi"));
    asked[0]->ref.generation++;
    answer_next(rig, REGISTRY_TAKEN);
    side_expect(&rig->device, "");
    assert_int_equal(gone_count, 0);
    finish(rig);
}

/* No more visitors: its sockets know at once, and the tunnel goes on. */
static void test_the_agent_goes_away(void **state)
{
    struct rig *rig = start();
    agent_says(rig, REGISTER("Youpi"));
    answer_next(rig, REGISTRY_OK);
    agent_says(rig, REGISTER("Yop"));
    rig->device.log_size = 0;
    rig->device.log[0] = 0;
    plex_session_goaway(rig->device.session, 0);
    rig_run(rig);
    assert_int_equal(gone_count, 1);
    answer_next(rig, REGISTRY_OK); /* it was under way */
    assert_int_equal(gone_count, 2);
    rig->device.log_size = 0;
    agent_says(rig, REGISTER("Yip"));
    expect_refused(rig, "BAD_REGISTER", "the agent has sent goaway");
    assert_null(rig->tunnel->finish_reason);
    finish(rig);
}

static void test_an_agent_that_registered_nothing_goes_away(void **state)
{
    struct rig *rig = start();
    plex_session_goaway(rig->device.session, 0);
    rig_run(rig);
    rig_close_tunnel(rig, registration_free);
    assert_int_equal(gone_count, 0);
    finish(rig);
}

static void test_visits_keep_their_order_and_their_cap(void **state)
{
    struct rig *rig = start();
    char text[64];
    for (int i = 0; i < 300; i++) {
        int length = snprintf(text, sizeof text, "{\"visit\":{\"n\":%d}}", i);
        registration_tell_visit(rig->tunnel, text, (size_t)length);
    }
    registration_send_visits(rig->tunnel);
    rig_run(rig);
    const char *at = rig->device.log;
    for (int i = 0; i < 256; i++) {
        int length = snprintf(text, sizeof text, "message {\"visit\":{\"n\":%d}}\n", i);
        assert_memory_equal(at, text, (size_t)length);
        at += length;
    }
    assert_string_equal(at, "");
    rig->device.log_size = 0;
    registration_tell_visit(rig->tunnel, "{}", 2); /* there is room again */
    registration_send_visits(rig->tunnel);
    rig_run(rig);
    side_expect(&rig->device, "message {}\n");
    finish(rig);
}

static bool has_output(void *user)
{
    return plex_session_has_output(((struct rig *)user)->tunnel->session);
}

static void test_a_visit_waits_for_company_but_not_for_long(void **state)
{
    struct rig *rig = start();
    registration_send_visits(rig->tunnel); /* there are none */
    registration_tell_visit(rig->tunnel, "{\"visit\":{}}", 12);
    assert_false(has_output(rig));
    test_run_until(rig->worker->loop, has_output, rig); /* nothing comes: it goes alone */
    rig_run(rig);
    side_expect(&rig->device, "message {\"visit\":{}}\n");
    registration_tell_visit(rig->tunnel, "{\"visit\":{}}", 12);
    agent_says(rig, REGISTER("Youpi"));
    assert_false(has_output(rig));
    answer_next(rig, REGISTRY_OK); /* this is company */
    assert_non_null(strstr(rig->device.log, "message {\"visit\":{}}\nmessage {\"registered"));
    finish(rig);
}

/* Answers are never dropped for visits. */
static void test_an_answer_behind_many_visits(void **state)
{
    struct rig *rig = start();
    agent_says(rig, REGISTER("Youpi"));
    for (int i = 0; i < 300; i++)
        registration_tell_visit(rig->tunnel, "{}", 2);
    answer_next(rig, REGISTRY_OK);
    assert_non_null(strstr(rig->device.log, "registered"));
    finish(rig);
}

static void test_visits_that_are_too_long(void **state)
{
    static char text[1100];
    struct rig *rig = start();
    memset(text, ' ', sizeof text);
    text[0] = '{';
    text[1000] = '}';
    registration_tell_visit(rig->tunnel, text, 1001);
    registration_send_visits(rig->tunnel);
    assert_false(plex_session_has_output(rig->tunnel->session));
    text[999] = '}';
    registration_tell_visit(rig->tunnel, text, 1000);
    /* No room for it: dropped, and what follows isn't held up. */
    registration_tell_visit(rig->tunnel, "{}", 2);
    char buffer[960];
    assert_int_equal(registration_pull(rig->tunnel, buffer, sizeof buffer), 2);
    assert_int_equal(registration_pull(rig->tunnel, buffer, sizeof buffer), 0);
    registration_tell_visit(rig->tunnel, text, 1000);
    registration_send_visits(rig->tunnel);
    rig_run(rig);
    assert_int_equal(rig->device.log_size, strlen("message \n") + 1000);
    finish(rig);
}

static void test_no_visits_without_the_feature(void **state)
{
    struct rig *rig = rig_new(PLEX_FEATURES_ALL & ~(uint32_t)PLEX_INBOUND_OPENS);
    registration_tell_visit(rig->tunnel, "{}", 2);
    assert_null(rig->tunnel->registration);
    finish(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registered),
        cmocka_unit_test(test_refused_by_the_sockets),
        cmocka_unit_test(test_bad_ones_are_refused_here),
        cmocka_unit_test(test_messages_that_nobody_answers),
        cmocka_unit_test(test_a_server_without_edge),
        cmocka_unit_test(test_an_owner_that_is_too_long),
        cmocka_unit_test(test_questions_under_way),
        cmocka_unit_test(test_answers_that_nobody_reads),
        cmocka_unit_test(test_64_sockets_and_no_more),
        cmocka_unit_test(test_refused_ones_make_room),
        cmocka_unit_test(test_the_tunnel_closes),
        cmocka_unit_test(test_an_answer_to_a_slot_that_is_anothers),
        cmocka_unit_test(test_the_agent_goes_away),
        cmocka_unit_test(test_an_agent_that_registered_nothing_goes_away),
        cmocka_unit_test(test_visits_keep_their_order_and_their_cap),
        cmocka_unit_test(test_a_visit_waits_for_company_but_not_for_long),
        cmocka_unit_test(test_an_answer_behind_many_visits),
        cmocka_unit_test(test_visits_that_are_too_long),
        cmocka_unit_test(test_no_visits_without_the_feature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
