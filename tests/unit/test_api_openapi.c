/* The description and the dispatcher's table say the same. */
#include "api_rig.h"

static void test_every_route_is_described(void **state)
{
    size_t count;
    const struct api_route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++) {
        const json_t *operation = rig_operation(routes[i].method, routes[i].path);
        if (!operation)
            fail_msg("%s %s isn't described", routes[i].method, routes[i].path);
        const json_t *responses = json_object_get(operation, "responses");
        bool has_id = strchr(routes[i].path, '{');
        bool is_open = json_is_array(json_object_get(operation, "security"));
        assert_true(json_object_get(responses, "401") || routes[i].who != API_ACCOUNT);
        assert_int_equal(is_open, routes[i].who != API_ACCOUNT);
        assert_int_equal(json_object_get(operation, "requestBody") != NULL, routes[i].has_body);
        for (int j = 0; j < 3 && routes[i].has_body; j++)
            assert_non_null(json_object_get(responses, ((const char *[]){"400", "413", "415"})[j]));
        assert_true(!has_id || json_object_get(responses, "404"));
        assert_non_null(json_object_get(responses, "503"));
    }
}

static void test_every_description_has_its_route(void **state)
{
    const char *path, *method;
    json_t *operations, *operation;
    size_t count, described = 0;
    const struct api_route *routes = api_routes(&count);
    json_object_foreach(json_object_get(rig.document, "paths"), path, operations)
    {
        json_object_foreach(operations, method, operation)
        {
            size_t i = 0;
            while (i < count &&
                   (strcmp(routes[i].path, path) || strcasecmp(routes[i].method, method)))
                i++;
            if (i == count)
                fail_msg("%s %s isn't there", method, path);
            described++;
        }
    }
    assert_int_equal(described, count);
}

/* Each "$ref" leads somewhere, each id of a path is described, no operation has another's name. */
static void walk(const json_t *node)
{
    const char *key;
    json_t *part;
    size_t i;
    if (json_object_get(node, "$ref"))
        assert_non_null(rig_resolve(node));
    if (json_is_object(node))
        json_object_foreach((json_t *)node, key, part) walk(part);
    if (json_is_array(node))
        json_array_foreach(node, i, part) walk(part);
}

static void test_the_document_is_whole(void **state)
{
    const char *path, *method;
    json_t *operations, *operation, *seen = json_object();
    assert_string_equal(json_string_value(json_object_get(rig.document, "openapi")), "3.1.0");
    walk(rig.document);
    json_object_foreach(json_object_get(rig.document, "paths"), path, operations)
    {
        json_object_foreach(operations, method, operation)
        {
            const char *id = json_string_value(json_object_get(operation, "operationId"));
            size_t ids = 0;
            for (const char *at = path; (at = strchr(at, '{')); at++)
                ids++;
            assert_non_null(id);
            assert_null(json_object_get(seen, id));
            json_object_set_new(seen, id, json_true());
            assert_true(json_array_size(json_object_get(operation, "parameters")) >= ids);
        }
    }
    json_decref(seen);
}

static void test_served(void **state)
{
    *rig.login = 0;
    assert_int_equal(ask("GET", "/openapi.json", ""), 200);
    assert_true(json_equal(rig.json, rig.document));
}

#define WITH_RIG(test_) cmocka_unit_test_setup_teardown(test_, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_every_route_is_described),
        WITH_RIG(test_every_description_has_its_route),
        WITH_RIG(test_the_document_is_whole),
        WITH_RIG(test_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
