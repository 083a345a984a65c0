#include "bench/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void become(const char *program, char *const *argv, int core, const char *log, int keep,
                   int out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* A measurement that is stopped with Ctrl-C stops its processes itself, in order. */
    setpgid(0, 0);
    process_pin(core);
    int none = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (none >= 0) {
        dup2(none, STDIN_FILENO);
    }
    dup2(out, STDOUT_FILENO);
    if (log) {
        int file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (file >= 0) {
            dup2(file, STDERR_FILENO);
        }
    }
    if (keep >= 0) {
        fcntl(keep, F_SETFD, 0);
    }
    if (program) {
        execv(program, argv);
        _exit(127);
    }
    /* By its name, so that ps and perf show it; by the link, where the file was replaced since. */
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length > 0) {
        self[length] = 0;
        execv(self, argv);
    }
    execv("/proc/self/exe", argv);
    _exit(127);
}

int process_start(char *const *argv, int core, const char *log, int keep,
                  struct process *ret_process)
{
    return process_start_program(NULL, argv, core, log, keep, ret_process);
}

int process_start_program(const char *program, char *const *argv, int core, const char *log,
                          int keep, struct process *ret_process)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) < 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become(program, argv, core, log, keep, pipes[1]);
    }
    close(pipes[1]);
    if (pid < 0) {
        close(pipes[0]);
        return -1;
    }
    *ret_process = (struct process){.pid = pid, .out = pipes[0]};
    return 0;
}

int process_start_filed(const char *program, char *const *argv, const char *output, const char *log,
                        struct process *ret_process)
{
    int file = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become(program, argv, -1, log, -1, file);
    }
    close(file);
    if (pid < 0) {
        return -1;
    }
    *ret_process = (struct process){.pid = pid, .out = -1};
    return 0;
}

int process_find_program(const char *name, char *path, size_t size)
{
    char folders[4096];
    const char *given = getenv("PATH");
    snprintf(folders, sizeof(folders), "%s:/usr/local/sbin:/usr/sbin:/sbin", given ? given : "");
    for (char *rest = folders, *folder; (folder = strsep(&rest, ":"));) {
        if (*folder == '/' && snprintf(path, size, "%s/%s", folder, name) < (int)size &&
            access(path, X_OK) == 0) {
            return 0;
        }
    }
    return -1;
}

int process_read_line(struct process *process, char *line, size_t size)
{
    size_t used = 0;
    for (;;) {
        struct pollfd waits = {.fd = process->out, .events = POLLIN};
        if (used + 1 >= size || poll(&waits, 1, 10000) != 1 ||
            read(process->out, line + used, 1) != 1) {
            return -1;
        }
        if (line[used] == '\n') {
            line[used] = 0;
            return 0;
        }
        used++;
    }
}

bool process_is_alive(const struct process *process)
{
    siginfo_t info = {0};
    return process->pid > 0 &&
           waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

int process_stop(struct process *process, int grace_ms)
{
    if (process->pid <= 0) {
        return 0;
    }
    kill(process->pid, SIGTERM);
    for (int waited = 0; waited < grace_ms && process_is_alive(process); waited += 10) {
        poll(NULL, 0, 10);
    }
    kill(process->pid, SIGKILL);
    int status = 0;
    waitpid(process->pid, &status, 0);
    if (process->out >= 0) {
        close(process->out);
    }
    process->pid = 0;
    if (WIFSIGNALED(status)) {
        return WTERMSIG(status) == SIGTERM ? 0 : -WTERMSIG(status);
    }
    return WEXITSTATUS(status);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    if (clock_gettime(clock, &time) < 0) {
        return 0;
    }
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t process_cpu(pid_t pid)
{
    clockid_t clock;
    /* The process's own CPU clock: all threads, to the nanosecond, where /proc/PID/stat counts in
     * 10 ms. */
    return pid > 0 && clock_getcpuclockid(pid, &clock) == 0 ? clock_ns(clock) : 0;
}

static pid_t find_parent(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file) {
        return 0;
    }
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[size] = 0;
    /* "PID (NAME) STATE PARENT"; the name may hold anything. */
    const char *after = strrchr(text, ')');
    int parent = 0;
    return after && sscanf(after + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

uint64_t process_cpu_tree(pid_t pid)
{
    uint64_t sum = process_cpu(pid);
    DIR *folder = pid > 0 ? opendir("/proc") : NULL;
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        pid_t child = (pid_t)strtol(entry->d_name, NULL, 10);
        if (child > 0 && find_parent(child) == pid) {
            sum += process_cpu_tree(child);
        }
    }
    if (folder) {
        closedir(folder);
    }
    return sum;
}

uint64_t process_own_cpu(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* The number after `key` in a file of "key: number kB" lines, in bytes; 0 when there is none. */
static uint64_t read_kilobytes(const char *path, const char *key)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        return 0;
    }
    char line[256];
    uint64_t found = 0;
    size_t length = strlen(key);
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, key, length) == 0) {
            found = strtoull(line + length, NULL, 10) * 1024;
            break;
        }
    }
    fclose(file);
    return found;
}

uint64_t process_memory(pid_t pid)
{
    char path[64];
    /* smaps_rollup walks the page tables; VmRSS in status lags behind by up to 64 pages a thread.
     */
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    uint64_t bytes = read_kilobytes(path, "Rss:");
    if (!bytes) {
        snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        bytes = read_kilobytes(path, "VmRSS:");
    }
    return bytes;
}

uint64_t process_kernel_slab(void)
{
    return read_kilobytes("/proc/meminfo", "Slab:");
}

uint64_t process_machine_cpu(void)
{
    unsigned long long user, nice, system, idle, wait, irq, softirq, steal;
    FILE *file = fopen("/proc/stat", "re");
    int found = file ? fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice,
                              &system, &idle, &wait, &irq, &softirq, &steal)
                     : 0;
    if (file) {
        fclose(file);
    }
    if (found != 8) {
        return 0;
    }
    uint64_t ticks = user + nice + system + irq + softirq + steal;
    return ticks * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

int process_core_count(void)
{
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : 1;
}

void process_pin(int core)
{
    if (core < 0) {
        return;
    }
    /* The core'th of those that we may use at all. */
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0) {
        return;
    }
    for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && seen++ == core) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            sched_setaffinity(0, sizeof(one), &one);
            return;
        }
    }
}

void process_raise_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

uint64_t process_max_files(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}
