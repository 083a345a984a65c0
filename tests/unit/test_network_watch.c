/* Which news of the network there are, and that they come: in a network namespace of its own where
 * that is allowed, for an interface has to come up. */
#include "net_test.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "net/network_watch.h"

struct link_message {
    struct nlmsghdr header;
    struct ifinfomsg link;
};

static struct link_message make_link(uint16_t type, unsigned flags)
{
    return (struct link_message){
        .header = {.nlmsg_len = sizeof(struct link_message), .nlmsg_type = type},
        .link = {.ifi_flags = flags},
    };
}

static void test_a_running_link_is_news(void **state)
{
    struct link_message message = make_link(RTM_NEWLINK, IFF_UP | IFF_RUNNING);
    assert_true(network_watch_is_news(&message, sizeof message));
}

static void test_what_goes_is_no_news(void **state)
{
    struct link_message messages[] = {make_link(RTM_NEWLINK, IFF_UP), make_link(RTM_DELLINK, 0),
                                      make_link(RTM_DELADDR, 0)};
    assert_false(network_watch_is_news(messages, sizeof messages));
}

static void test_news_behind_others_are_found(void **state)
{
    struct link_message messages[] = {make_link(RTM_DELADDR, 0), make_link(RTM_NEWADDR, 0)};
    assert_true(network_watch_is_news(messages, sizeof messages));
}

static void test_torn_messages_are_no_news(void **state)
{
    struct link_message message = make_link(RTM_NEWADDR, 0);
    for (size_t length = 0; length < sizeof message; length++) {
        void *exact = malloc(length + 1);
        memcpy(exact, &message, length);
        assert_false(network_watch_is_news(exact, length));
        free(exact);
    }
    message.header.nlmsg_len = 3; /* shorter than itself: no endless loop */
    assert_false(network_watch_is_news(&message, sizeof message));
}

static void note(void *user)
{
    *(bool *)user = true;
}

/* In this process alone: it is the last test. */
static void test_a_link_that_comes_up_is_told(void **state)
{
    bool told = false;
    struct loop *loop;
    struct network_watch *watch;
    struct ifreq request = {.ifr_name = "lo"};

    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        skip();
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(network_watch_open(loop, note, &told, &watch), 0);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    request.ifr_flags |= IFF_UP;
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
    test_run_until(loop, test_flag_holds, &told);
    network_watch_close(watch);
    network_watch_close(NULL);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_running_link_is_news),
        cmocka_unit_test(test_what_goes_is_no_news),
        cmocka_unit_test(test_news_behind_others_are_found),
        cmocka_unit_test(test_torn_messages_are_no_news),
        cmocka_unit_test(test_a_link_that_comes_up_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
