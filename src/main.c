/* Picks the command, nothing else. */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    (void)argv;
    fprintf(stderr, "usage: streamplex COMMAND [OPTIONS]\n");
    return argc > 1 ? 2 : 2;
}
