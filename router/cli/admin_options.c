#include "cli/admin_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "cli/admin_answer.h"
#include "topology/yaml_tree.h"

#define DEFAULT_LIMIT_MS 10000
#define VARIABLE "SLUICE_ADMIN"

void admin_options_begin(struct admin_options *admin)
{
    *admin = (struct admin_options){.limit_ms = DEFAULT_LIMIT_MS, .cancel_fd = -1};
}

void admin_options_clear(struct admin_options *admin)
{
    free(admin->from_file);
    admin_options_begin(admin);
}

bool admin_options_take(struct admin_options *admin, struct options *options, int id, const char *value)
{
    switch (id) {
    case 'c':
        if (admin->file_count == ADMIN_FILES_MAXIMUM)
            return options_complain(options, "-c %s: is one file too many; %d are the limit", value, ADMIN_FILES_MAXIMUM);
        admin->files[admin->file_count++] = value;
        return true;
    case OPTION_ADMIN:
        if (admin->count == ADMIN_ADDRESSES_MAXIMUM)
            return options_complain(options, "--admin %s: is one address too many; %d are the limit", value, ADMIN_ADDRESSES_MAXIMUM);
        admin->addresses[admin->count++] = value;
        return true;
    case OPTION_TOKEN_FILE:
        admin->token_file = value;
        return true;
    default:
        if (!text_to_duration_ms(text_of_string(value), &admin->limit_ms) || admin->limit_ms == 0)
            return options_complain(options, "--timeout %s: is no duration; write it as 500ms, 10s or 2m", value);
        return true;
    }
}

/* ---- the address ---- */

/* admin.address of one file, which need not be good otherwise: a running Sluice is asked most when a file is not. */
static bool find_in_file(struct admin_options *admin, struct options *options, const char *path)
{
    struct findings *findings = findings_create();
    struct yaml_tree *tree = findings != NULL ? yaml_tree_read(path, findings) : NULL;
    for (const struct yaml_node *root = tree != NULL ? tree->first : NULL; root != NULL && admin->from_file == NULL; root = root->next) {
        const struct yaml_node *section = root->kind == YAML_MAPPING ? yaml_tree_member(root, TEXT("admin")) : NULL;
        const struct yaml_node *address = NULL;
        if (section != NULL && section->kind == YAML_MAPPING)
            address = yaml_tree_member(section, TEXT("address"));
        if (address != NULL && address->kind == YAML_SCALAR)
            admin->from_file = text_duplicate(address->text);
    }
    if (tree == NULL) {
        if (findings != NULL)
            findings_print(findings, stderr);
        options->status = COMMAND_FAILED;
    }
    bool is_read = tree != NULL;
    yaml_tree_destroy(tree);
    findings_destroy(findings);
    return is_read;
}

static bool find_in_files(struct admin_options *admin, struct options *options)
{
    for (size_t i = 0; i < admin->file_count && admin->from_file == NULL; i++) {
        if (!find_in_file(admin, options, admin->files[i]))
            return false;
    }
    if (admin->from_file == NULL) {
        options_complain(options,
                         "%s has no admin.address; add admin: {address: \"127.0.0.1:8180\"} and start Sluice anew, or name one "
                         "with --admin",
                         admin->files[0]);
        options->status = COMMAND_FAILED;
        return false;
    }
    admin->addresses[admin->count++] = admin->from_file;
    return true;
}

/*
 * What stands on the command line comes before the environment. A file that is named there and has no address ends the search: the variable may
 * mean another cluster's Sluice.
 */
static bool find_addresses(struct admin_options *admin, struct options *options)
{
    const char *variable = getenv(VARIABLE);
    const char *source = "--admin ";
    if (admin->count == 0 && admin->file_count > 0) {
        source = "admin.address: ";
        if (!find_in_files(admin, options))
            return false;
    } else if (admin->count == 0 && variable != NULL && variable[0] != '\0') {
        source = VARIABLE "=";
        admin->addresses[admin->count++] = variable;
    }
    if (admin->count == 0)
        return options_complain(options, "no running Sluice is named; give --admin ADDRESS or -c FILE, or set " VARIABLE);
    for (size_t i = 0; i < admin->count; i++) {
        if (!admin_address_is_valid(admin->addresses[i]))
            return options_complain(options,
                                    "%s%s: is no address; write host:port, as 127.0.0.1:8180 or [::1]:8180, or "
                                    "unix:/absolute/path",
                                    source, admin->addresses[i]);
    }
    return true;
}

/* ---- the token ---- */

static bool refuse_token(struct options *options, const char *path, const char *problem)
{
    options_complain(options, "--token-file %s: %s", path, problem);
    options->status = COMMAND_FAILED;
    return false;
}

/* The file's first line is the token. It goes into a header field, so only visible ASCII may be in it (RFC 6750 section 2.1 allows
 * less). */
static bool read_token(struct admin_options *admin, struct options *options)
{
    char bytes[ADMIN_TOKEN_CAPACITY + 1];
    ptrdiff_t length = file_read_beginning(admin->token_file, bytes, sizeof bytes);
    if (length < 0)
        return refuse_token(options, admin->token_file, strerror(errno));
    struct text rest = text_of(bytes, (size_t)length);
    struct text token = text_cut(&rest, '\n');
    if (token.length > 0 && token.bytes[token.length - 1] == '\r')
        token.length--;
    if (token.length == 0)
        return refuse_token(options, admin->token_file, "its first line is empty; write the token there");
    if (token.length >= ADMIN_TOKEN_CAPACITY)
        return refuse_token(options, admin->token_file, "its first line is longer than any token; write the token alone there");
    for (size_t i = 0; i < token.length; i++) {
        if (token.bytes[i] <= 0x20 || token.bytes[i] >= 0x7f)
            return refuse_token(options, admin->token_file,
                                "there is a blank or a control character in the token; write the token alone there");
    }
    memcpy(admin->token, token.bytes, token.length);
    admin->token[token.length] = '\0';
    return true;
}

bool admin_options_resolve(struct admin_options *admin, struct options *options)
{
    return find_addresses(admin, options) && (admin->token_file == NULL || read_token(admin, options));
}

/* ---- asking ---- */

static void describe_refusal(const struct admin_options *admin, const struct admin_question *question, struct admin_reply *reply)
{
    char said[ADMIN_PROBLEM_CAPACITY / 2];
    const char *remedy = "";
    if (!admin_answer_error(text_of(reply->body, reply->body_bytes), said, sizeof said))
        text_append(said, sizeof said, 0,
                    "%s %s is not known there; is it the admin.address of a Sluice of this version (" SLUICE_VERSION ")?",
                    question->method, question->target);
    if (reply->status == 401 && admin->token[0] == '\0')
        remedy = "; name the file with the admin token with --token-file";
    else if (reply->status == 401)
        remedy = "; the token of --token-file is not the one that this Sluice wants";
    text_append(reply->problem, sizeof reply->problem, 0, "answers %u: %s%s", reply->status, said, remedy);
}

enum admin_outcome admin_ask(const struct admin_options *admin, const char *address, const struct admin_question *question,
                             struct admin_reply *reply)
{
    const struct admin_request request = {
        .method = question->method,
        .target = question->target,
        .token = admin->token[0] != '\0' ? admin->token : NULL,
        .limit_ms = admin->limit_ms + question->wait_ms,
        .cancel_fd = admin->cancel_fd,
    };
    enum admin_outcome outcome = admin_call(address, &request, reply);
    if (outcome != ADMIN_ANSWERED || reply->status == 200 || reply->status == question->also_status)
        return outcome;
    describe_refusal(admin, question, reply);
    return ADMIN_FAILED;
}

enum admin_outcome admin_ask_status(const struct admin_options *admin, const char *address, struct status_report *report, char *problem)
{
    static const struct admin_question question = {.method = "GET", .target = "/status"};
    struct admin_reply reply;
    enum admin_outcome outcome = admin_ask(admin, address, &question, &reply);
    if (outcome == ADMIN_FAILED)
        text_append(problem, ADMIN_PROBLEM_CAPACITY, 0, "%s", reply.problem);
    else if (outcome == ADMIN_ANSWERED && !status_report_read(report, text_of(reply.body, reply.body_bytes), problem))
        outcome = ADMIN_FAILED;
    admin_reply_clear(&reply);
    return outcome;
}

void admin_print_problem(const struct options *options, const char *address, const char *problem)
{
    fprintf(stderr, "sluice %s: %s: %s\n", options->manual->command, address, problem);
}
