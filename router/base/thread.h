#ifndef SLUICE_BASE_THREAD_H
#define SLUICE_BASE_THREAD_H
/* A thread of the process. Signals are blocked in it, so that they all come to the main thread. */
struct thread;

/* Runs run(owner) in a thread of its own. NULL when the system has none left. */
struct thread *thread_start(void (*run)(void *owner), void *owner);
/* Waits until it has returned, and frees the handle. NULL is allowed. */
void thread_join(struct thread *thread);

/* What several threads may change only one after the other, and rarely do. */
struct lock;

/* NULL when memory is out. */
struct lock *lock_create(void);
/* Nobody may hold it. NULL is allowed. */
void lock_destroy(struct lock *lock);
void lock_take(struct lock *lock);
void lock_give(struct lock *lock);

#endif
