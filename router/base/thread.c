#include "base/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

struct thread {
    pthread_t handle;
    void (*run)(void *owner);
    void *owner;
};

static void *run(void *argument)
{
    struct thread *thread = argument;
    thread->run(thread->owner);
    return NULL;
}

struct thread *thread_start(void (*function)(void *owner), void *owner)
{
    struct thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL)
        return NULL;
    thread->run = function;
    thread->owner = owner;
    /* A thread begins with the mask of the one that made it. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    bool is_started = pthread_create(&thread->handle, NULL, run, thread) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (is_started)
        return thread;
    free(thread);
    return NULL;
}

void thread_join(struct thread *thread)
{
    if (thread == NULL)
        return;
    pthread_join(thread->handle, NULL);
    free(thread);
}

/* ---- locks ---- */

struct lock {
    pthread_mutex_t mutex;
};

struct lock *lock_create(void)
{
    struct lock *lock = malloc(sizeof *lock);
    if (lock == NULL || pthread_mutex_init(&lock->mutex, NULL) == 0)
        return lock;
    free(lock);
    return NULL;
}

void lock_destroy(struct lock *lock)
{
    if (lock == NULL)
        return;
    pthread_mutex_destroy(&lock->mutex);
    free(lock);
}

void lock_take(struct lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
}

void lock_give(struct lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
}
