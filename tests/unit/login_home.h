/* A home of a test's own, where logins are kept: /tmp/.../config. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char home_folder[] = "/tmp/streamplex-test-XXXXXX";
static char home_config[64]; /* $XDG_CONFIG_HOME */

static int home_make(void **state)
{
    strcpy(home_folder + sizeof home_folder - 7, "XXXXXX");
    if (!mkdtemp(home_folder))
        return -1;
    snprintf(home_config, sizeof home_config, "%s/config", home_folder);
    setenv("XDG_CONFIG_HOME", home_config, 1);
    return 0;
}

static const char *home_path(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", home_folder, name);
    return path;
}

static int home_remove(void **state)
{
    static const char *const names[] = {"config/streamplex/token",
                                        "config/streamplex/api",
                                        "config/streamplex",
                                        "config",
                                        "file",
                                        ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)!remove(home_path(names[i]));
    unsetenv("XDG_CONFIG_HOME");
    return access(home_folder, F_OK) == 0 ? -1 : 0; /* something was left there */
}
