/* The API's description, OpenAPI 3.1: openapi.json, made C by embed.py when the program is built.
 */
#pragma once

#include <stddef.h>

extern const char api_openapi_text[];
extern const size_t api_openapi_size;
