/* Text that answers share, and its packed form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "control/api_text.h"

static char *many(size_t length)
{
    char *text = malloc(length + 1);
    for (size_t i = 0; i < length; i++)
        text[i] = "abc{}\",:0"[i * i % 9];
    text[length] = '\0';
    return text;
}

static void test_packed_text_unpacks_to_the_same(void **state)
{
    char *bytes = many(600000), *back = malloc(600000);
    struct api_text *text = api_text_new(bytes, 600000);
    struct api_text *packed = api_text_packed(text);
    z_stream stream = {.next_out = (Bytef *)back, .avail_out = 600000};
    assert_true(packed->length < 100000);
    stream.next_in = (Bytef *)packed->text;
    stream.avail_in = (uInt)packed->length;
    assert_int_equal(inflateInit2(&stream, MAX_WBITS + 16), Z_OK); /* gzip alone */
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(stream.total_out, 600000);
    assert_memory_equal(back, bytes, 600000);
    inflateEnd(&stream);
    api_text_unref(text);
    free(bytes);
    free(back);
}

static void test_it_is_packed_once(void **state)
{
    char *bytes = many(5000);
    struct api_text *text = api_text_new(bytes, 5000);
    struct api_text *packed = api_text_packed(text);
    assert_non_null(packed);
    assert_ptr_equal(api_text_packed(text), packed);
    api_text_unref(text);
    free(bytes);
}

static void test_each_form_has_its_etag(void **state)
{
    char *bytes = many(5000);
    struct api_text *text = api_text_new(bytes, 5000), *other = api_text_new(bytes, 4999);
    assert_int_equal(strlen(text->etag), 18);
    assert_string_not_equal(text->etag, other->etag);
    struct api_text *packed = api_text_packed(text);
    assert_null(strstr(packed->etag, text->etag)); /* with its quotes */
    assert_int_equal(strncmp(packed->etag, text->etag, 17), 0);
    assert_string_equal(packed->etag + 17, "-gz\"");
    api_text_unref(text);
    api_text_unref(other);
    free(bytes);
}

static void test_what_is_not_worth_packing(void **state)
{
    unsigned char noise[4096];
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof noise; i++) {
        seed = seed * 1664525 + 1013904223;
        noise[i] = (unsigned char)(seed >> 24);
    }
    struct api_text *text = api_text_new("[]", 2);
    struct api_text *random = api_text_new((char *)noise, sizeof noise);
    assert_null(api_text_packed(text));
    assert_null(api_text_packed(random));
    api_text_unref(text);
    api_text_unref(random);
}

/* The sanitizer sees both ends of it. */
static void test_the_packed_form_may_outlive_the_other(void **state)
{
    char *bytes = many(5000);
    struct api_text *text = api_text_new(bytes, 5000);
    struct api_text *packed = api_text_ref(api_text_packed(text));
    api_text_unref(text);
    assert_int_equal(packed->references, 1);
    assert_int_equal((unsigned char)packed->text[0], 0x1f);
    api_text_unref(packed);
    api_text_unref(NULL);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed_text_unpacks_to_the_same),
        cmocka_unit_test(test_it_is_packed_once),
        cmocka_unit_test(test_each_form_has_its_etag),
        cmocka_unit_test(test_what_is_not_worth_packing),
        cmocka_unit_test(test_the_packed_form_may_outlive_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
