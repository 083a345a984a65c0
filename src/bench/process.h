/* The processes that a measurement is made of: starting them, each on its core, and what they cost.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
    pid_t pid; /* 0: none */
    int out;   /* its standard output, to read; -1: not ours */
};

/* Starts this program with `argv` (argv[0] is what it calls itself; NULL ends it) on `core` (-1:
 * any). Its standard error goes to the file `log` (NULL: to ours); it dies with us. Descriptor
 * `keep` (-1: none) is inherited. 0 or -1. */
int process_start(char *const *argv, int core, const char *log, int keep,
                  struct process *ret_process) __attribute__((warn_unused_result));
/* The same with another program; NULL: this one. */
int process_start_program(const char *program, char *const *argv, int core, const char *log,
                          int keep, struct process *ret_process)
    __attribute__((warn_unused_result));
/* The same; its standard output goes to a new file. */
int process_start_filed(const char *program, char *const *argv, const char *output, const char *log,
                        struct process *ret_process) __attribute__((warn_unused_result));
/* A program's path, from PATH and where daemons are. 0, or -1: it isn't installed. */
int process_find_program(const char *name, char *path, size_t size)
    __attribute__((warn_unused_result));
/* Reads one line of its output, at most 10 s. 0 or -1. */
int process_read_line(struct process *process, char *line, size_t size)
    __attribute__((warn_unused_result));
/* SIGTERM, and SIGKILL after `grace_ms`. Takes one that was never started. 0 when it ended in order
 * or by that SIGTERM; else its exit status, or the signal that ended it, negative. */
int process_stop(struct process *process, int grace_ms);
bool process_is_alive(const struct process *process);

/* CPU time of all its threads, ns; 0 when it can't be read. */
uint64_t process_cpu(pid_t pid);
/* The same with all its descendants that live; 0 for a process that isn't there. */
uint64_t process_cpu_tree(pid_t pid);
/* Its own, likewise. */
uint64_t process_own_cpu(void);
/* Resident memory, bytes; 0 when it can't be read. */
uint64_t process_memory(pid_t pid);
/* Kernel memory in slabs on this whole machine (sockets of both ends among it), bytes. */
uint64_t process_kernel_slab(void);

/* CPU time that all cores of this machine have been busy, ns, to 10 ms; 0 when it can't be read. */
uint64_t process_machine_cpu(void);

int process_core_count(void);
void process_pin(int core);     /* us; -1: nothing */
void process_raise_files(void); /* RLIMIT_NOFILE to the hard limit */
uint64_t process_max_files(void);
