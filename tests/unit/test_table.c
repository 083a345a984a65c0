/* Substreams by id, against a plain array. */
#include "internal.h"
#include "pair.h"

static void test_against_an_array(void **state)
{
    struct side side;
    side_prepare(&side, PLEX_SERVER);
    side_start(&side, 0);
    struct plex_session *session = side.session;
    enum { IDS_USED = 4000 };
    static struct plex_substream substreams[IDS_USED];
    static bool in[IDS_USED];
    size_t count = 0, before = side.heap.bytes;
    uint32_t random = 7, cursor = 0;
    assert_null(plex_table_find(&session->table, 2));
    assert_null(plex_table_any(&session->table, &cursor));
    for (int i = 0; i < 200000; i++) {
        random = random * 1664525u + 1013904223u;
        unsigned id = (random >> 8) % IDS_USED;
        /* Phases of growing and of shrinking. */
        bool add = (random >> 24) % 4 < ((i / 50000) % 2 ? 1 : 3);
        struct plex_substream *found = plex_table_find(&session->table, (uint16_t)id);
        assert_ptr_equal(found, in[id] ? &substreams[id] : NULL);
        if (add && !in[id]) {
            substreams[id].id = (uint16_t)id;
            assert_int_equal(plex_table_add(session, &substreams[id]), 0);
            in[id] = true;
            count++;
        } else if (!add && in[id]) {
            plex_table_remove(session, &substreams[id]);
            in[id] = false;
            count--;
        }
        assert_int_equal(session->table.count, count);
        assert_true(side.heap.bytes - before <= 80 + count * 64);
    }
    struct plex_substream *any;
    while ((any = plex_table_any(&session->table, &cursor))) {
        assert_true(in[any->id]);
        plex_table_remove(session, any);
    }
    assert_int_equal(side.heap.bytes, before);
    side_finish(&side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
