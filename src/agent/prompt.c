#include "agent/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* Signals that end or stop the program: the terminal is put back before they take their course. */
static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

#define NUMBER_COUNT (sizeof numbers / sizeof numbers[0])

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

/* More than a line is read from a pipe byte by byte: what follows is somebody else's. */
int prompt_read_line(int fd, char *password, char *error, size_t error_size)
{
    size_t length = 0;
    for (;;) {
        char letter;
        ssize_t got = read(fd, &letter, 1);
        if (got < 0 && errno == EINTR && !caught)
            continue;
        if (got < 0) {
            snprintf(error, error_size, "the password can't be read: %s", strerror(errno));
            break;
        }
        if (got == 0 || letter == '\n') {
            while (length && password[length - 1] == '\r')
                length--;
            password[length] = '\0';
            if (length)
                return 0;
            snprintf(error, error_size, "no password was given");
            break;
        }
        if (letter == '\0' || length == PROMPT_MAX) {
            snprintf(error, error_size, "a password has at most %d bytes, none of them NUL",
                     PROMPT_MAX);
            break;
        }
        password[length++] = letter;
    }
    explicit_bzero(password, length);
    return -1;
}

static void say(int fd, const char *text)
{
    ssize_t written = write(fd, text, strlen(text));
    (void)written; /* a terminal that takes nothing gives nothing either */
}

/* Without SA_RESTART: a signal ends the read(). */
static void watch_signals(struct sigaction before[NUMBER_COUNT])
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        sigaction(numbers[i], &action, &before[i]);
}

static void unwatch_signals(const struct sigaction before[NUMBER_COUNT])
{
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        sigaction(numbers[i], &before[i], NULL);
}

/* One try; `caught` tells of a signal. */
static int ask_once(int fd, const char *question, char *password, char *error, size_t error_size)
{
    struct sigaction actions[NUMBER_COUNT];
    struct termios before, silent;
    if (tcgetattr(fd, &before) < 0) {
        snprintf(error, error_size, "the terminal can't be asked for a password: %s",
                 strerror(errno));
        return -1;
    }
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    caught = 0;
    watch_signals(actions);
    int result = -1;
    if (tcsetattr(fd, TCSAFLUSH, &silent) < 0) {
        snprintf(error, error_size, "the terminal shows what is typed: %s", strerror(errno));
    } else {
        say(fd, question);
        result = prompt_read_line(fd, password, error, error_size);
        say(fd, "\n"); /* the one that was typed wasn't shown */
        tcsetattr(fd, TCSAFLUSH, &before);
    }
    unwatch_signals(actions);
    return result;
}

int prompt_password_on(int fd, const char *question, char *password, char *error, size_t error_size)
{
    for (;;) {
        int result = ask_once(fd, question, password, error, error_size);
        int number = caught;
        caught = 0;
        if (!number)
            return result;
        if (result == 0)
            explicit_bzero(password, strlen(password));
        raise(number);
        if (number == SIGTSTP)
            continue; /* in the foreground again */
        snprintf(error, error_size, "ended by a signal");
        return -1;
    }
}

int prompt_password(const char *question, char *password, char *error, size_t error_size)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        snprintf(error, error_size,
                 "there is no terminal to ask for a password: give it with --password-stdin");
        return -1;
    }
    int result = prompt_password_on(fd, question, password, error, error_size);
    close(fd);
    return result;
}
