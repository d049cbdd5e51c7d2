/* Lines that never wait for their reader: pipes, sockets and files; whole lines as long as there is room, and the rest given back. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sink.h"

#define LINE_BYTES 100
#define BLOCK_BYTES (60 * LINE_BYTES) /* more than a pipe takes in one piece */

static char folder[32];
static char path[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/sluice-sink-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/log", folder);
    signal(SIGPIPE, SIG_IGN);
    alarm(60); /* who waits is ended */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    alarm(0);
    unlink(path);
    return rmdir(folder);
}

static struct text block(void)
{
    static char bytes[BLOCK_BYTES];
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = LINE_BYTES - 1; i < sizeof bytes; i += LINE_BYTES)
        bytes[i] = '\n';
    return text_of(bytes, sizeof bytes);
}

/* Writes until the sink is full; returns how many bytes it took. */
static size_t fill(const struct sink *sink)
{
    size_t total = 0;
    size_t taken;
    do {
        taken = sink_write(sink, block());
        assert_int_equal(taken % LINE_BYTES, 0);
        total += taken;
        assert_true(total < 64 * 1024 * 1024);
    } while (taken == BLOCK_BYTES);
    return total;
}

static size_t read_all(int fd)
{
    static char bytes[65536];
    size_t total = 0;
    ssize_t length;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while ((length = read(fd, bytes, sizeof bytes)) > 0)
        total += (size_t)length;
    return total;
}

/* Full, it takes nothing and does not wait; read out, it takes lines again. */
static void assert_never_waits(const struct sink *sink, int reader)
{
    size_t total = fill(sink);
    assert_true(total >= PIPE_BUF);
    assert_int_equal(sink_write(sink, block()), 0);
    assert_false(sink_wait(sink, 0));
    assert_int_equal(read_all(reader), total);
    assert_true(sink_wait(sink, 0));
    assert_int_equal(sink_write(sink, TEXT("one more\n")), 9);
    assert_int_equal(read_all(reader), 9);
}

static void a_pipe_that_nobody_reads_is_not_waited_for(void **state)
{
    (void)state;
    int ends[2];
    struct sink sink;
    assert_int_equal(pipe(ends), 0);
    sink_adopt(&sink, ends[1]);
    assert_int_equal(sink.kind, SINK_PIPE);
    assert_int_not_equal(sink.fd, ends[1]);
    /* Whoever shares the descriptor with us goes on as before. */
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    assert_never_waits(&sink, ends[0]);
    close(ends[0]);
    assert_int_equal(sink_write(&sink, TEXT("lost\n")), 0);
    sink_close(&sink);
    close(ends[1]);
}

static void a_pipe_that_cannot_be_opened_anew_is_asked_first(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct sink sink = {.fd = ends[1], .kind = SINK_LENT};
    assert_never_waits(&sink, ends[0]);
    close(ends[0]);
    sink_close(&sink);
}

static void a_socket_that_nobody_reads_is_not_waited_for(void **state)
{
    (void)state;
    int ends[2];
    struct sink sink;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    sink_adopt(&sink, ends[1]);
    assert_int_equal(sink.kind, SINK_SOCKET);
    size_t total = 0;
    size_t taken;
    while ((taken = sink_write(&sink, block())) > 0)
        total += taken;
    assert_int_equal(sink_write(&sink, block()), 0);
    assert_int_equal(read_all(ends[0]), total);
    assert_int_equal(sink_write(&sink, TEXT("one more\n")), 9);
    close(ends[0]);
    assert_int_equal(sink_write(&sink, TEXT("lost\n")), 0);
    sink_close(&sink);
}

static void a_fifo_needs_no_reader_to_be_opened(void **state)
{
    (void)state;
    struct sink sink;
    const char *reason = NULL;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_true(sink_open(&sink, path, &reason));
    size_t total = fill(&sink);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_int_equal(read_all(reader), total);
    close(reader);
    sink_close(&sink);
}

static void a_file_is_appended_to_by_all_of_its_writers(void **state)
{
    (void)state;
    struct sink sinks[2];
    const char *reason = NULL;
    struct stat status;
    assert_true(sink_open(&sinks[0], path, &reason));
    assert_true(sink_open(&sinks[1], path, &reason));
    assert_int_equal(sinks[0].kind, SINK_FILE);
    assert_int_equal(sink_write(&sinks[0], block()), BLOCK_BYTES);
    assert_int_equal(sink_write(&sinks[1], block()), BLOCK_BYTES);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 2 * BLOCK_BYTES);
    assert_int_equal(status.st_mode & 07, 0);
    sink_close(&sinks[0]);
    sink_close(&sinks[1]);
    assert_false(sink_open(&sinks[0], "/nonexistent/log", &reason));
    assert_string_equal(reason, strerror(ENOENT));
}

static void a_line_that_may_wait_goes_in_one_piece(void **state)
{
    (void)state;
    char bytes[8];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(sink_write_waiting(ends[1], TEXT("line\n")), 5);
    assert_int_equal(read(ends[0], bytes, sizeof bytes), 5);
    assert_memory_equal(bytes, "line\n", 5);
    close(ends[0]);
    assert_int_equal(sink_write_waiting(ends[1], TEXT("line\n")), 0);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_pipe_that_nobody_reads_is_not_waited_for),
        TEST(a_pipe_that_cannot_be_opened_anew_is_asked_first),
        TEST(a_socket_that_nobody_reads_is_not_waited_for),
        TEST(a_fifo_needs_no_reader_to_be_opened),
        TEST(a_file_is_appended_to_by_all_of_its_writers),
        TEST(a_line_that_may_wait_goes_in_one_piece),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
