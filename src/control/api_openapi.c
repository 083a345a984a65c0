#include "control/api_openapi.h"

#include "control/api_internal.h"

void api_openapi_show(struct api_call *call)
{
    api_answer_fixed(call, 200, "application/json", api_openapi_text, api_openapi_size);
}
