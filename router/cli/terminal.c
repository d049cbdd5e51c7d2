#include "cli/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define ESCAPE "\x1b["
#define SCREEN_BEGIN ESCAPE "?1049h" ESCAPE "?25l"
#define SCREEN_END ESCAPE "?25h" ESCAPE "?1049l"
#define LINE_END ESCAPE "K" /* clears what an earlier, longer line has left */
#define BELOW_END ESCAPE "J"

bool terminal_is_there(void)
{
    const char *kind = getenv("TERM");
    return isatty(STDOUT_FILENO) && kind != NULL && kind[0] != '\0' && strcmp(kind, "dumb") != 0;
}

void terminal_size(unsigned *rows, unsigned *columns)
{
    struct winsize size;
    bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;
    *rows = is_known ? size.ws_row : 24;
    *columns = is_known ? size.ws_col : 80;
}

static bool write_all(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t count = write(STDOUT_FILENO, bytes, length);
        if (count < 0 && errno != EINTR)
            return false;
        if (count > 0) {
            bytes += count;
            length -= (size_t)count;
        }
    }
    return true;
}

static void list_signals(sigset_t *signals)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};
    sigemptyset(signals);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaddset(signals, numbers[i]);
}

static bool watch_fd(int events_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(events_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Ctrl-Z would leave a shell on the alternate screen. */
static bool take_keys(struct terminal *terminal)
{
    if (tcgetattr(STDIN_FILENO, &terminal->before) != 0)
        return false;
    struct termios raw = terminal->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VSUSP] = _POSIX_VDISABLE;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

bool terminal_open(struct terminal *terminal)
{
    sigset_t signals;
    *terminal = (struct terminal){.signal_fd = -1, .events_fd = -1};
    list_signals(&signals);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    terminal->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    terminal->events_fd = epoll_create1(EPOLL_CLOEXEC);
    bool is_open = terminal->signal_fd >= 0 && terminal->events_fd >= 0 && watch_fd(terminal->events_fd, terminal->signal_fd);
    if (is_open && isatty(STDIN_FILENO))
        is_open = terminal->has_keys = take_keys(terminal) && watch_fd(terminal->events_fd, STDIN_FILENO);
    if (is_open && write_all(SCREEN_BEGIN, sizeof SCREEN_BEGIN - 1))
        return true;
    int error = errno;
    terminal_close(terminal);
    errno = error;
    return false;
}

void terminal_close(struct terminal *terminal)
{
    sigset_t signals;
    write_all(SCREEN_END, sizeof SCREEN_END - 1);
    if (terminal->has_keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal->before);
    if (terminal->events_fd >= 0)
        close(terminal->events_fd);
    if (terminal->signal_fd >= 0)
        close(terminal->signal_fd);
    list_signals(&signals);
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
}

bool terminal_draw(struct text text)
{
    char *screen = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&screen, &length);
    if (stream == NULL)
        return false;
    fputs(ESCAPE "H", stream);
    while (text.bytes != NULL) {
        struct text line = text_cut(&text, '\n');
        if (text.length == 0)
            text = TEXT_EMPTY; /* the last line's end would scroll a full screen */
        fprintf(stream, "%.*s" LINE_END "%s", TEXT_ARGUMENTS(line), text.bytes != NULL ? "\r\n" : "");
    }
    fputs(BELOW_END, stream);
    bool is_drawn = fclose(stream) == 0 && write_all(screen, length);
    free(screen);
    return is_drawn;
}

static enum terminal_event read_signal(struct terminal *terminal)
{
    struct signalfd_siginfo signal;
    enum terminal_event event = TERMINAL_SIZE;
    while (read(terminal->signal_fd, &signal, sizeof signal) == (ssize_t)sizeof signal) {
        if (signal.ssi_signo == SIGWINCH)
            continue;
        event = TERMINAL_END;
        terminal->end_signal = signal.ssi_signo == SIGINT ? terminal->end_signal : (int)signal.ssi_signo;
    }
    return event;
}

/* A closed input is a terminal that has gone. */
static enum terminal_event read_keys(void)
{
    char keys[256];
    ssize_t count = read(STDIN_FILENO, keys, sizeof keys);
    if (count < 0 && errno == EINTR)
        return TERMINAL_SIZE;
    return count <= 0 || memchr(keys, 'q', (size_t)count) != NULL ? TERMINAL_END : TERMINAL_SIZE;
}

enum terminal_event terminal_wait(struct terminal *terminal, uint64_t limit_ms)
{
    struct epoll_event ready[2];
    int count = epoll_wait(terminal->events_fd, ready, 2, (int)limit_ms);
    enum terminal_event event = TERMINAL_TIME;
    for (int i = 0; i < count; i++) {
        enum terminal_event each = ready[i].data.fd == terminal->signal_fd ? read_signal(terminal) : read_keys();
        event = each > event ? each : event;
    }
    return event;
}
