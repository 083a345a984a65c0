/* `streamplex bench`: how fast a server is, and against what limit.
 *
 * To add a mode: a file mode_X.c with a function in modes.h, a line in bench.c, a row in
 * docs/BENCHMARKS.md. */
#pragma once

/* argv[0] is "bench". Returns the exit status: 0; 1 when a check failed; 2 when it couldn't
 * measure. */
int bench_main(int argc, char **argv);
