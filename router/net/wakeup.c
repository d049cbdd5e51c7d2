#include "net/wakeup.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net/loop.h"
#include "net/poller.h"

struct wakeup {
    struct loop *loop;
    int fd; /* an eventfd: its counter is not 0 while the loop has yet to look */
    struct watch readable;
    void (*on_wakeup)(void *owner); /* NULL once it is destroyed */
    void *owner;
};

static void on_readable(int fd, short what, void *argument)
{
    (void)what;
    struct wakeup *wakeup = argument;
    uint64_t count;
    /* Before the owner looks: what comes during its look wakes the loop once more. */
    ssize_t ignored = read(fd, &count, sizeof count);
    (void)ignored;
    if (wakeup->on_wakeup == NULL)
        return;
    loop_enter(wakeup->loop);
    wakeup->on_wakeup(wakeup->owner);
    loop_leave(wakeup->loop);
}

struct wakeup *wakeup_create(struct loop *loop, void (*on_wakeup)(void *owner), void *owner)
{
    struct wakeup *wakeup = calloc(1, sizeof *wakeup);
    if (wakeup == NULL)
        return NULL;
    *wakeup = (struct wakeup){.loop = loop, .on_wakeup = on_wakeup, .owner = owner};
    wakeup->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wakeup->fd < 0) {
        free(wakeup);
        return NULL;
    }
    watch_init(&wakeup->readable, loop_poller(loop), wakeup->fd, WATCH_READABLE, on_readable, wakeup);
    if (!watch_add(&wakeup->readable)) {
        close(wakeup->fd);
        free(wakeup);
        return NULL;
    }
    return wakeup;
}

void wakeup_send(struct wakeup *wakeup)
{
    uint64_t one = 1;
    /* It fails only when the counter is full, and then the loop is to look anyway. */
    ssize_t ignored = write(wakeup->fd, &one, sizeof one);
    (void)ignored;
}

void wakeup_destroy(struct wakeup *wakeup)
{
    if (wakeup == NULL)
        return;
    wakeup->on_wakeup = NULL;
    watch_remove(&wakeup->readable);
    close(wakeup->fd);
    loop_bury(wakeup->loop, wakeup, free);
}
