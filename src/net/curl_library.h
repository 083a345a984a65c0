/* libcurl's start, once a process whoever comes first. */
#pragma once

/* From any thread; before any other function of libcurl. */
void curl_library_start(void);
