#include "cli/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define HELP_ID 'h'
#define HELP_COLUMNS 80
/* Further apart than this, a word is no misspelling of the other. */
#define CLOSEST_DISTANCE 3

/* ---- help ---- */

/* Breaks at blanks; the first line begins at the column where the cursor stands, the others at `indent`. */
static void print_wrapped(const char *text, int indent)
{
    int column = indent;
    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        if (column > indent && column + 1 + length > HELP_COLUMNS) {
            printf("\n%*s", indent, "");
            column = indent;
        }
        column += printf("%s%.*s", column > indent ? " " : "", length, text);
        text += length;
        text += strspn(text, " ");
    }
    printf("\n");
}

static void print_forms(const struct manual *manual)
{
    struct text rest = text_of_string(manual->forms);
    const char *heading = "usage:";
    while (rest.bytes != NULL) {
        struct text form = text_cut(&rest, '\n');
        printf("%s sluice %s%s%.*s\n", heading, manual->command, form.length > 0 ? " " : "", TEXT_ARGUMENTS(form));
        heading = "      ";
    }
}

static int describe_option(const struct option_row *row, char *buffer, size_t capacity)
{
    char letter[5] = "    ";
    if (row->id < OPTION_LONG_ONLY)
        snprintf(letter, sizeof letter, "-%c, ", row->id);
    return (int)text_append(buffer, capacity, 0, "%s--%s%s%s", letter, row->name, row->argument != NULL ? " " : "",
                            row->argument != NULL ? row->argument : "");
}

static const struct option_row help_row = {HELP_ID, "help", NULL, "print this"};

static void print_options(const struct manual *manual)
{
    char left[64];
    int width = describe_option(&help_row, left, sizeof left);
    for (size_t i = 0; i < manual->option_count; i++) {
        int length = describe_option(&manual->options[i], left, sizeof left);
        width = length > width ? length : width;
    }
    printf("\noptions:\n");
    for (size_t i = 0; i <= manual->option_count; i++) {
        const struct option_row *row = i < manual->option_count ? &manual->options[i] : &help_row;
        describe_option(row, left, sizeof left);
        printf("  %-*s  ", width, left);
        print_wrapped(row->help, width + 4);
    }
}

static void print_manual(const struct manual *manual)
{
    print_forms(manual);
    printf("\n");
    print_wrapped(manual->text, 0);
    print_options(manual);
    printf("\nexit status:\n  0  ");
    print_wrapped(manual->status_ok, 5);
    if (manual->status_failed != NULL) {
        printf("  1  ");
        print_wrapped(manual->status_failed, 5);
    }
    printf("  2  ");
    print_wrapped("the arguments make no sense; nothing was done", 5);
    printf("\nexample:\n");
    struct text rest = text_of_string(manual->example);
    while (rest.bytes != NULL) {
        struct text line = text_cut(&rest, '\n');
        printf("  %.*s\n", TEXT_ARGUMENTS(line));
    }
}

/* ---- reading ---- */

bool options_complain(struct options *options, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "sluice %s: ", options->manual->command);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    options->status = COMMAND_MISUSED;
    return false;
}

const char *options_closest(const char *word, const char *const *names, size_t count)
{
    const char *closest = NULL;
    size_t closest_distance = CLOSEST_DISTANCE;
    for (size_t i = 0; i < count; i++) {
        size_t distance = text_distance(text_of_string(word), text_of_string(names[i]));
        if (distance < closest_distance) {
            closest = names[i];
            closest_distance = distance;
        }
    }
    return closest;
}

void options_begin(struct options *options, const struct manual *manual, int argc, char **argv)
{
    *options = (struct options){.manual = manual, .argc = argc, .argv = argv};
    char *letter = options->letters;
    *letter++ = ':'; /* a missing argument is told apart, and getopt prints nothing */
    *letter++ = HELP_ID;
    for (size_t i = 0; i < manual->option_count; i++) {
        const struct option_row *row = &manual->options[i];
        bool takes_argument = row->argument != NULL;
        options->longs[i] = (struct option){row->name, takes_argument ? required_argument : no_argument, NULL, row->id};
        if (row->id >= OPTION_LONG_ONLY)
            continue;
        *letter++ = (char)row->id;
        if (takes_argument)
            *letter++ = ':';
    }
    options->longs[manual->option_count] = (struct option){help_row.name, no_argument, NULL, HELP_ID};
    optind = 0; /* GNU: begin anew, with the first argument */
}

/* The long option that an argument spells, up to its "="; empty when it is none. */
static struct text long_name(const char *argument)
{
    struct text rest = text_of_string(argument);
    if (!text_starts_with(rest, TEXT("--")) || rest.length == 2)
        return TEXT_EMPTY;
    rest = text_of(rest.bytes + 2, rest.length - 2);
    return text_cut(&rest, '=');
}

static int refuse_unknown(struct options *options, struct text name)
{
    const char *names[OPTION_ROWS_MAXIMUM + 1];
    char word[64];
    size_t count = 0;
    for (; options->longs[count].name != NULL; count++)
        names[count] = options->longs[count].name;
    snprintf(word, sizeof word, "%.*s", TEXT_ARGUMENTS(name));
    const char *closest = options_closest(word, names, count);
    if (closest != NULL)
        options_complain(options, "--%s is no option; did you mean --%s?", word, closest);
    else
        options_complain(options, "--%s is no option; see sluice %s --help", word, options->manual->command);
    return OPTIONS_STOP;
}

/* What getopt_long has just read: the argument before optind, or the one before that when the value stands by itself. */
static const char *read_argument(const struct options *options)
{
    bool is_apart = optarg != NULL && optarg == options->argv[optind - 1];
    return options->argv[optind - (is_apart ? 2 : 1)];
}

/* glibc leaves 0 in optopt for a long option that it does not know, else the id of the option, or the letter. */
static int refuse(struct options *options, int verdict)
{
    if (optopt == 0)
        return refuse_unknown(options, long_name(options->argv[optind - 1]));
    const struct option *row = options->longs;
    while (row->name != NULL && row->val != optopt)
        row++;
    if (verdict == ':')
        options_complain(options, "--%s: needs a value after it", row->name);
    else if (row->name != NULL)
        options_complain(options, "--%s: takes no value; leave out what follows the \"=\"", row->name);
    else
        options_complain(options, "-%c is no option; see sluice %s --help", optopt, options->manual->command);
    return OPTIONS_STOP;
}

int options_next(struct options *options, const char **value)
{
    int id = getopt_long(options->argc, options->argv, options->letters, options->longs, NULL);
    *value = optarg;
    if (id == -1)
        return OPTIONS_END;
    if (id == '?' || id == ':')
        return refuse(options, id);
    struct text name = long_name(read_argument(options));
    const struct option *row = options->longs;
    while (row->name != NULL && !text_equals(name, text_of_string(row->name)))
        row++;
    if (name.length > 0 && row->name == NULL)
        return refuse_unknown(options, name); /* an abbreviation */
    if (id != HELP_ID)
        return id;
    print_manual(options->manual);
    return OPTIONS_STOP;
}

char **options_operands(const struct options *options, size_t *count)
{
    *count = (size_t)(options->argc - optind);
    return options->argv + optind;
}
