#include <stdio.h>

#include "cli/options.h"
#include "topology/schema.h"

static const struct manual manual = {
    .command = "help config",
    .forms = "",
    .text = "Prints the reference page of the configuration, in Markdown: every key with its type, default, values and "
            "meaning.",
    .status_ok = "the page is printed",
    .example = "sluice help config | less",
};

static const char introduction[] =
    "# Configuration of Sluice\n"
    "\n"
    "A YAML file. Durations have a unit (ms, s, m, h), sizes may have one (B, KiB, MiB, GiB, kB, MB, GB). `sluice "
    "check\n"
    "FILE` judges a file. The column `change` says how a new value comes into force: by `sluice reload` (or SIGHUP), or\n"
    "only at the next start; certificates, keys and tokens are read again by themselves.\n"
    "\n"
    "A file with a top-level `mode` in its documents is a cluster layout as InfluxData writes it: one document for "
    "each\n"
    "kind of node, an optional `count` of such nodes, and options of `influxdb3 serve` as keys, in any spelling\n"
    "(num-cores, num_cores, cores). `check` and `plan` take it; `serve` needs a `url` for each node.\n";

static void print_values(const struct schema_row *row)
{
    char buffer[32];
    switch (row->type) {
    case SCHEMA_INTEGER:
    case SCHEMA_SIZE:
    case SCHEMA_DURATION:
    case SCHEMA_SHARE:
        printf("%s to ", schema_describe_quantity(row, row->minimum, buffer, sizeof buffer));
        printf("%s", schema_describe_quantity(row, row->maximum, buffer, sizeof buffer));
        if (row->zero != NULL)
            printf(", or 0: %s", row->zero);
        if (row->words != NULL)
            printf(", or one of: %s", row->words);
        break;
    case SCHEMA_BOOLEAN:
        printf("true, false");
        break;
    default:
        printf("%s", row->words != NULL ? row->words : "");
    }
}

static void print_row(const struct schema_row *row)
{
    printf("| `%s` | %s | ", row->path, schema_type_name(row->type));
    if (row->fallback != NULL)
        printf("`%s`", row->fallback);
    else
        printf("%s", row->is_required ? "required" : "");
    printf(" | ");
    print_values(row);
    printf(" | %s | %s |\n", schema_change_name(row->change), row->help);
}

int command_reference(int argc, char **argv)
{
    struct options options;
    const char *value;
    size_t count;
    options_begin(&options, &manual, argc, argv);
    if (options_next(&options, &value) != OPTIONS_END)
        return options.status;
    char **operands = options_operands(&options, &count);
    if (count > 0) {
        options_complain(&options, "%s: is one argument too many; the page has all keys", operands[0]);
        return options.status;
    }
    fputs(introduction, stdout);
    printf("\n| key | type | default | values | change | meaning |\n| --- | --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < schema_row_count; i++)
        print_row(&schema_rows[i]);
    return COMMAND_OK;
}
