/* One exchange is one line, which nobody can forge and in which no secret stands. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "observe/access_log.h"

static struct access_record some_record(const char *target)
{
    return (struct access_record){
        .client_host = "192.0.2.7",
        .method = TEXT("POST"),
        .target = text_of_string(target),
        .class = REQUEST_CLASS_WRITE,
        .node_id = "ingester-01",
        .attempts = 2,
        .status = 204,
        .request_bytes = 1234567890123,
        .response_bytes = 5,
        .duration_ms = 17,
        .fault = FAULT_NONE,
        .request_id = TEXT("id-1"),
    };
}

/* The line without its time. */
static const char *format(const struct access_record *record)
{
    static char line[4096];
    memset(line, '#', sizeof line);
    size_t length = access_log_format(record, line, 2048);
    assert_true(length > 0 && length < 2048);
    assert_int_equal(line[length - 1], '\n');
    assert_ptr_equal(memchr(line, '\n', length), line + length - 1);
    line[length] = '\0';
    const char *rest = strchr(line, ' ');
    assert_non_null(rest);
    return rest + 1;
}

static void assert_target(const char *target, const char *shown)
{
    struct access_record record = some_record(target);
    char wanted[2048];
    snprintf(wanted, sizeof wanted, " target=%s class=", shown);
    const char *line = format(&record);
    if (strstr(line, wanted) == NULL)
        fail_msg("%s is not shown as %s in: %s", target, shown, line);
}

static void a_line_says_everything_once(void **state)
{
    (void)state;
    struct access_record record = some_record("/api/v3/write_lp?db=a");
    assert_string_equal(
        format(&record),
        "client=192.0.2.7 method=POST target=\"/api/v3/write_lp?db=a\" class=write node=ingester-01 attempts=2 "
        "status=204 request_bytes=1234567890123 response_bytes=5 duration_ms=17 fault=none id=\"id-1\"\n");
    record.node_id = NULL;
    record.status = 0;
    record.attempts = 0;
    record.fault = FAULT_DOWNSTREAM_GONE;
    record.class = REQUEST_CLASS_UNKNOWN;
    assert_non_null(strstr(format(&record), " class=unknown node=- attempts=0 status=0 "));
    assert_non_null(strstr(format(&record), " fault=downstream_gone "));
}

static void a_grpc_call_has_a_second_status(void **state)
{
    (void)state;
    struct access_record record = some_record("/arrow.flight.protocol.FlightService/DoGet");
    record.status = 200;
    assert_null(strstr(format(&record), "grpc_status"));
    record.is_grpc = true;
    assert_non_null(strstr(format(&record), " status=200 grpc_status=OK request_bytes="));
    record.grpc_status = GRPC_STATUS_UNAVAILABLE;
    assert_non_null(strstr(format(&record), " status=200 grpc_status=UNAVAILABLE request_bytes="));
}

/* "time=2026-08-01T12:00:00.123Z". */
static void a_line_begins_with_its_time(void **state)
{
    (void)state;
    struct access_record record = some_record("/");
    char line[2048];
    int year, month, day, hour, minute, second, millisecond, end = 0;
    access_log_format(&record, line, sizeof line);
    assert_int_equal(sscanf(line, "time=%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &year, &month, &day, &hour, &minute, &second,
                            &millisecond, &end), 7);
    assert_int_equal(end, 30);
    struct tm broken = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute,
                        .tm_sec = second};
    /* time() is a tick of the kernel behind the clock that the line reads. */
    assert_in_range(timegm(&broken), time(NULL) - 60, time(NULL) + 1);
}

static void secrets_in_the_query_are_not_written(void **state)
{
    (void)state;
    assert_target("/write?db=a&u=admin&p=secret&precision=s", "\"/write?db=a&u=-&p=-&precision=s\"");
    assert_target("/write?p=secret", "\"/write?p=-\"");
    assert_target("/write?token=secret&p", "\"/write?token=-&p\"");
    assert_target("/query?q=select+p=1&p=a=b&u=", "\"/query?q=select+p=1&p=-&u=-\"");
    assert_target("/write?&p=x&&p=y", "\"/write?&p=-&&p=-\"");
    assert_target("/p=x?db=p", "\"/p=x?db=p\"");
    assert_target("/write?pp=x&ap=y", "\"/write?pp=x&ap=y\"");
    assert_target("/write?p=x?p=y", "\"/write?p=-\"");
    assert_target("/write?", "\"/write?\"");
}

/* Servers decode keys before they compare them: so must whoever hides them. */
static void secrets_under_an_encoded_key_are_not_written(void **state)
{
    (void)state;
    assert_target("/write?%70=secret&%74oken=secret&%75=admin", "\"/write?%70=-&%74oken=-&%75=-\"");
    assert_target("/write?to%6Ben=secret", "\"/write?to%6Ben=-\"");
    assert_target("/write?toke%6e=a&%7a=b&%50=c&%79=d&x%70=e", "\"/write?toke%6e=-&%7a=b&%50=c&%79=d&x%70=e\"");
    assert_target("/write?%7=x&%=y&%zz=z", "\"/write?%7=x&%=y&%zz=z\"");
}

static void a_line_cannot_be_forged(void **state)
{
    (void)state;
    assert_target("/a\" status=200 \n", "\"/a\\\" status=200 \\x0a\"");
    assert_target("/\\\x7f\x80\xff", "\"/\\\\\\x7f\\x80\\xff\"");
    struct access_record record = some_record("/");
    record.request_id = TEXT("x\" fault=none\r\ntime=");
    assert_non_null(strstr(format(&record), " id=\"x\\\" fault=none\\x0d\\x0atime=\"\n"));
}

static void a_request_that_was_never_understood_has_a_line(void **state)
{
    (void)state;
    struct access_record record = {.client_host = "::1", .status = 400, .fault = FAULT_REQUEST_MALFORMED};
    const char *line = format(&record);
    assert_non_null(strstr(line, " target=\"\" "));
    assert_non_null(strstr(line, " status=400 "));
    assert_non_null(strstr(line, " fault=request_malformed id=\"\"\n"));
}

/* The longest of everything still is one line that ends. */
static void a_line_has_a_bound_and_ends(void **state)
{
    (void)state;
    static char target[9000];
    static char node_id[3000];
    static char request_id[600];
    memset(target, '\x01', sizeof target - 1);
    memset(node_id, 'n', sizeof node_id - 1);
    memset(request_id, '"', sizeof request_id);
    struct access_record record = some_record(target);
    record.request_id = text_of(request_id, sizeof request_id);
    format(&record);
    record.node_id = node_id;
    format(&record);
}

/* ---- the file ---- */

static char path[] = "/tmp/sluice-test-access-log-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    return close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static size_t read_lines(char *buffer, size_t capacity)
{
    int fd = open(path, O_RDONLY);
    ssize_t length = read(fd, buffer, capacity);
    close(fd);
    assert_true(length >= 0);
    size_t lines = 0;
    for (ssize_t i = 0; i < length; i++)
        lines += buffer[i] == '\n';
    assert_true(length == 0 || buffer[length - 1] == '\n');
    return lines;
}

static void lines_are_gathered_and_written_whole(void **state)
{
    (void)state;
    static char written[1048576];
    const char *reason = NULL;
    struct access_record record = some_record("/");
    struct access_log *log = access_log_open(path, &reason);
    assert_non_null(log);
    access_log_write(log, &record);
    assert_int_equal(read_lines(written, sizeof written), 0);
    access_log_flush(log);
    access_log_flush(log);
    assert_int_equal(read_lines(written, sizeof written), 1);
    for (int i = 0; i < 1000; i++)
        access_log_write(log, &record);
    /* It does not hold back without bound. */
    assert_in_range(read_lines(written, sizeof written), 600, 1000);
    access_log_close(log);
    assert_int_equal(read_lines(written, sizeof written), 1001);
    /* Another worker's lines, or those of the next start, come behind. */
    log = access_log_open(path, &reason);
    access_log_write(log, &record);
    access_log_close(log);
    assert_int_equal(read_lines(written, sizeof written), 1002);
    access_log_close(NULL);
}

/* A FIFO without a reader, which comes late: what it finds are whole lines, and more come. */
static void a_log_that_nobody_reads_holds_nothing_up(void **state)
{
    (void)state;
    static char written[4 * 1048576];
    const char *reason = NULL;
    struct access_record record = some_record("/");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(60); /* who waits is ended */
    struct access_log *log = access_log_open(path, &reason);
    assert_non_null(log);
    log_set_level(LOG_LEVEL_ERROR);
    for (int i = 0; i < 20000; i++)
        access_log_write(log, &record);
    access_log_flush(log);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    ssize_t length = read(reader, written, sizeof written);
    assert_true(length > 4096 && written[length - 1] == '\n');
    for (int i = 0; i < 100; i++)
        access_log_write(log, &record);
    access_log_flush(log);
    assert_true(read(reader, written, sizeof written) > 0);
    assert_true(strncmp(written, "time=", 5) == 0);
    for (int i = 0; i < 20000; i++)
        access_log_write(log, &record);
    /* The end of the process does not wait for it either, or not for long. */
    access_log_close(log);
    alarm(0);
    close(reader);
    log_set_level(LOG_LEVEL_INFO);
}

static void a_file_that_cannot_be_opened_is_told(void **state)
{
    (void)state;
    const char *reason = NULL;
    assert_null(access_log_open("/nonexistent/access.log", &reason));
    assert_string_equal(reason, "No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_everything_once),
        cmocka_unit_test(a_grpc_call_has_a_second_status),
        cmocka_unit_test(a_line_begins_with_its_time),
        cmocka_unit_test(secrets_in_the_query_are_not_written),
        cmocka_unit_test(secrets_under_an_encoded_key_are_not_written),
        cmocka_unit_test(a_line_cannot_be_forged),
        cmocka_unit_test(a_request_that_was_never_understood_has_a_line),
        cmocka_unit_test(a_line_has_a_bound_and_ends),
        cmocka_unit_test_setup_teardown(lines_are_gathered_and_written_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_log_that_nobody_reads_holds_nothing_up, set_up, tear_down),
        cmocka_unit_test(a_file_that_cannot_be_opened_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
