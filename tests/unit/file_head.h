/* A head from text, as the tests of the shared folder need it. */
#pragma once

#include "edge/http_rules.h"
#include "edge/http_scan.h"

/* The text has to live as long as the head. */
static inline void read_head(const char *text, struct http_head *ret_head)
{
    struct http_scan scan;
    size_t taken;
    http_scan_init(&scan, HTTP_SCAN_REQUEST);
    assert_int_equal(http_scan_feed(&scan, text, strlen(text), &taken), HTTP_SCANNED_WHOLE);
    assert_int_equal(http_head_parse_request(text, taken, ret_head), 0);
    assert_int_equal(http_rules_request(ret_head), 0);
}
