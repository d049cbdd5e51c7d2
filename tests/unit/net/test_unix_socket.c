/* Sockets in the file system: stale ones are replaced, live ones and other files are left alone, permissions are exact. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/unix_socket.h"

static char folder[64];
static char path[100];
static struct unix_socket made;
static const char *reason;

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/sluice-unit-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/socket", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static struct sockaddr_un name_of(const char *file)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s", file);
    return name;
}

static bool can_connect(void)
{
    struct sockaddr_un name = name_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_connected = connect(fd, (struct sockaddr *)&name, sizeof name) == 0;
    close(fd);
    return is_connected;
}

static bool exists(void)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

static void it_listens_and_leaves_no_file(void **state)
{
    (void)state;
    int fd = unix_socket_listen(path, 0, &made, &reason);
    assert_true(fd >= 0);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true(can_connect());
    unix_socket_remove(&made);
    assert_false(exists());
    unix_socket_remove(&made);
    close(fd);
}

static void the_mode_is_exact_whatever_the_umask(void **state)
{
    (void)state;
    static const unsigned modes[] = {0600, 0660, 0666, 0777};
    struct stat status;
    mode_t before = umask(027);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        int fd = unix_socket_listen(path, modes[i], &made, &reason);
        assert_int_equal(lstat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, modes[i]);
        unix_socket_remove(&made);
        close(fd);
    }
    int fd = unix_socket_listen(path, 0, &made, &reason);
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0750);
    unix_socket_remove(&made);
    close(fd);
    umask(before);
}

static void a_stale_file_is_replaced(void **state)
{
    (void)state;
    int dead = unix_socket_listen(path, 0, &made, &reason);
    close(dead);
    assert_true(exists());
    assert_false(can_connect());
    int fd = unix_socket_listen(path, 0, &made, &reason);
    assert_true(fd >= 0);
    assert_true(can_connect());
    unix_socket_remove(&made);
    close(fd);
}

static void a_live_one_is_an_error(void **state)
{
    (void)state;
    struct unix_socket second;
    int fd = unix_socket_listen(path, 0, &made, &reason);
    assert_int_equal(unix_socket_listen(path, 0, &second, &reason), -1);
    assert_string_equal(reason, "another process listens there");
    unix_socket_remove(&second);
    assert_true(can_connect());
    unix_socket_remove(&made);
    close(fd);
}

/* connect says EAGAIN then, which must not be taken for nobody. */
static void a_full_backlog_is_a_live_one(void **state)
{
    (void)state;
    struct sockaddr_un name = name_of(path);
    int clients[8];
    size_t count = 0;
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(server, 0), 0);
    for (bool is_room = true; is_room && count < 8; count++) {
        clients[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        is_room = connect(clients[count], (struct sockaddr *)&name, sizeof name) == 0;
    }
    assert_in_range(count, 1, 7);
    assert_int_equal(unix_socket_listen(path, 0, &made, &reason), -1);
    assert_string_equal(reason, "another process listens there");
    while (count > 0)
        close(clients[--count]);
    close(server);
}

static void what_is_no_socket_is_never_touched(void **state)
{
    (void)state;
    struct stat status;
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "precious", 8), 8);
    close(fd);
    assert_int_equal(unix_socket_listen(path, 0660, &made, &reason), -1);
    assert_non_null(strstr(reason, "no socket"));
    unix_socket_remove(&made);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 8);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/nowhere", path), 0);
    assert_int_equal(unix_socket_listen(path, 0, &made, &reason), -1);
    assert_non_null(strstr(reason, "no socket"));
    assert_true(exists());
}

static void a_successors_file_is_left_to_it(void **state)
{
    (void)state;
    char aside[128];
    snprintf(aside, sizeof aside, "%s.aside", path);
    int fd = unix_socket_listen(path, 0, &made, &reason);
    /* Kept, so that the inode is not given out again. */
    assert_int_equal(rename(path, aside), 0);
    struct unix_socket theirs;
    int successor = unix_socket_listen(path, 0, &theirs, &reason);
    assert_true(successor >= 0);
    unix_socket_remove(&made);
    assert_true(can_connect());
    unix_socket_remove(&theirs);
    assert_false(exists());
    unlink(aside);
    close(fd);
    close(successor);
}

static void the_mode_of_our_file_alone_is_changed(void **state)
{
    (void)state;
    struct stat status;
    int fd = unix_socket_listen(path, 0600, &made, &reason);
    assert_true(fd >= 0);
    assert_true(unix_socket_is_there(&made));
    assert_true(unix_socket_set_mode(&made, 0666, &reason));
    assert_true(unix_socket_set_mode(&made, 0, &reason));
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0666);
    assert_int_equal(unlink(path), 0);
    assert_false(unix_socket_is_there(&made));
    int other = open(path, O_CREAT | O_WRONLY, 0600);
    assert_false(unix_socket_set_mode(&made, 0666, &reason));
    assert_string_equal(reason, "the file is another one");
    assert_int_equal(fstat(other, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    close(other);
    close(fd);
}

static void the_systems_reason_is_told(void **state)
{
    (void)state;
    char missing[128];
    snprintf(missing, sizeof missing, "%s/none/socket", folder);
    assert_int_equal(unix_socket_listen(missing, 0, &made, &reason), -1);
    assert_string_equal(reason, "No such file or directory");
    char longer[140];
    memset(longer, 'a', sizeof longer);
    longer[0] = '/';
    longer[108] = '\0';
    assert_int_equal(unix_socket_listen(longer, 0, &made, &reason), -1);
    assert_string_equal(reason, "the path is too long");
}

static void the_longest_path_is_one_of_107_bytes(void **state)
{
    (void)state;
    char longest[108];
    memset(longest, 'a', sizeof longest);
    memcpy(longest, folder, strlen(folder));
    longest[strlen(folder)] = '/';
    longest[107] = '\0';
    int fd = unix_socket_listen(longest, 0, &made, &reason);
    assert_true(fd >= 0);
    unix_socket_remove(&made);
    assert_int_equal(access(longest, F_OK), -1);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST_OF(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST_OF(it_listens_and_leaves_no_file),
        TEST_OF(the_mode_is_exact_whatever_the_umask),
        TEST_OF(a_stale_file_is_replaced),
        TEST_OF(a_live_one_is_an_error),
        TEST_OF(a_full_backlog_is_a_live_one),
        TEST_OF(what_is_no_socket_is_never_touched),
        TEST_OF(a_successors_file_is_left_to_it),
        TEST_OF(the_mode_of_our_file_alone_is_changed),
        TEST_OF(the_systems_reason_is_told),
        TEST_OF(the_longest_path_is_one_of_107_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
