#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "topology/schema.h"
#include "topology/storage.h"
#include "topology/value.h"

static const size_t scope_sizes[] = {
    [SCHEMA_SCOPE_TOPOLOGY] = sizeof(struct topology),
    [SCHEMA_SCOPE_LISTENER] = sizeof(struct topology_listener),
    [SCHEMA_SCOPE_NODE] = sizeof(struct topology_node),
    [SCHEMA_SCOPE_ROUTE] = sizeof(struct topology_route),
    [SCHEMA_SCOPE_CERTIFICATE] = sizeof(struct tls_pair),
};

static bool is_group(const struct schema_row *row)
{
    return row->type == SCHEMA_SECTION || row->type == SCHEMA_LIST;
}

static size_t width_of(enum schema_type type)
{
    switch (type) {
    case SCHEMA_BOOLEAN:
        return sizeof(bool);
    case SCHEMA_SIZE:
    case SCHEMA_DURATION:
        return sizeof(uint64_t);
    case SCHEMA_SHARE:
    case SCHEMA_MODES:
    case SCHEMA_FILE_MODE:
    case SCHEMA_CLASS:
    case SCHEMA_CHOICE:
        return sizeof(unsigned);
    case SCHEMA_NETWORKS:
        return sizeof(struct topology_networks);
    case SCHEMA_ADDRESS:
        return sizeof(struct topology_listener);
    case SCHEMA_URL:
        return sizeof(struct topology_node);
    default:
        return sizeof(char *);
    }
}

static void rows_are_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < schema_row_count; i++) {
        const struct schema_row *row = &schema_rows[i];
        assert_ptr_equal(schema_find(text_of_string(row->path)), row); /* no path twice */
        assert_true(strlen(row->help) > 0 && strlen(row->help) < 100);
        assert_null(strchr(row->help, '|')); /* it goes into a table */
        if (is_group(row))
            continue;
        assert_true(row->offset + row->width <= scope_sizes[row->scope]);
        if (row->type == SCHEMA_INTEGER)
            assert_true(row->width == sizeof(unsigned) || row->width == sizeof(uint64_t));
        else
            assert_int_equal(row->width, width_of(row->type));
        if (row->type == SCHEMA_INTEGER && row->width == sizeof(unsigned))
            assert_true(row->maximum <= UINT32_MAX);
        if (row->type == SCHEMA_CLASS || row->type == SCHEMA_CHOICE || row->type == SCHEMA_WORD)
            assert_non_null(row->words);
    }
}

/* Two rows of one struct that share bytes would overwrite each other; a URL and an address own several fields. */
static void rows_do_not_overlap(void **state)
{
    (void)state;
    for (size_t i = 0; i < schema_row_count; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct schema_row *a = &schema_rows[i];
            const struct schema_row *b = &schema_rows[j];
            bool is_plain = !is_group(a) && !is_group(b) && a->type != SCHEMA_URL && b->type != SCHEMA_URL &&
                            a->type != SCHEMA_ADDRESS && b->type != SCHEMA_ADDRESS;
            if (is_plain && a->scope == b->scope)
                assert_true(a->offset + a->width <= b->offset || b->offset + b->width <= a->offset);
        }
    }
}

static void defaults_pass_their_own_rows(void **state)
{
    (void)state;
    struct topology_storage *storage = storage_create();
    for (size_t i = 0; i < schema_row_count; i++) {
        const struct schema_row *row = &schema_rows[i];
        char problem[VALUE_PROBLEM_CAPACITY] = "";
        void *base = storage_take(storage, 1, scope_sizes[row->scope]);
        if (row->fallback != NULL && !value_store(row, text_of_string(row->fallback), base, storage, problem))
            fail_msg("%s: %s", row->path, problem);
    }
    storage_destroy(storage);
}

static void keys_are_found_in_their_section(void **state)
{
    (void)state;
    assert_string_equal(schema_find_key("timeouts", TEXT("queue"))->path, "timeouts.queue");
    assert_string_equal(schema_find_key("limits", TEXT("queue"))->path, "limits.queue");
    assert_string_equal(schema_find_key("nodes[]", TEXT("url"))->path, "nodes[].url");
    assert_string_equal(schema_find_key("", TEXT("timeouts"))->path, "timeouts");
    assert_null(schema_find_key("", TEXT("queue")));
    assert_null(schema_find_key("", TEXT("timeouts.queue")));
    assert_null(schema_find_key("timeouts", TEXT("")));
    assert_null(schema_find_key("time", TEXT("outs")));
    assert_true(text_equals(schema_key(schema_find(TEXT("nodes[].url"))), TEXT("url")));
    assert_true(text_equals(schema_key(schema_find(TEXT("workers"))), TEXT("workers")));
}

static const char *suggested(const char *section, const char *key)
{
    const struct schema_row *row = schema_suggest(section, text_of_string(key));
    return row == NULL ? "" : row->path;
}

static void suggestions_are_near(void **state)
{
    (void)state;
    assert_string_equal(suggested("", "lisen"), "listen");
    assert_string_equal(suggested("", "clusterid"), "cluster_id");
    assert_string_equal(suggested("timeouts", "conect"), "timeouts.connect");
    assert_string_equal(suggested("timeouts", "qeue"), "timeouts.queue");
    assert_string_equal(suggested("", "write_deadline"), "timeouts.write_deadline");
    assert_string_equal(suggested("", "node_id"), "nodes[].node_id");
    assert_string_equal(suggested("", "frobnicate"), "");
    assert_string_equal(suggested("health", "x"), "");
    char long_key[200];
    memset(long_key, 'a', sizeof long_key - 1);
    long_key[sizeof long_key - 1] = '\0';
    assert_string_equal(suggested("", long_key), "");
}

static void words_are_matched_and_suggested(void **state)
{
    (void)state;
    const struct schema_row *row = schema_find(TEXT("log_level"));
    unsigned index;
    assert_true(schema_word_index(row, TEXT("info"), &index));
    assert_int_equal(index, 2);
    assert_false(schema_word_index(row, TEXT("inf"), &index));
    assert_false(schema_word_index(row, TEXT(""), &index));
    assert_true(text_equals(schema_suggest_word(row->words, TEXT("warn")), TEXT("warning")));
    assert_true(text_equals(schema_suggest_word(row->words, TEXT("DEBUG")), TEXT("debug")));
    assert_true(text_equals(schema_suggest_word(row->words, TEXT("eror")), TEXT("error")));
    assert_int_equal(schema_suggest_word(row->words, TEXT("verbose")).length, 0);
    assert_int_equal(schema_suggest_word(row->words, TEXT("")).length, 0);
}

static void choices_are_in_the_order_of_their_enum(void **state)
{
    (void)state;
    const struct schema_row *row = schema_find(TEXT("unknown"));
    unsigned index;
    assert_true(schema_word_index(row, TEXT("catalog"), &index));
    assert_int_equal(index, TOPOLOGY_UNKNOWN_CATALOG);
    assert_true(schema_word_index(row, TEXT("deny"), &index));
    assert_int_equal(index, TOPOLOGY_UNKNOWN_DENY);
    row = schema_find(TEXT("storage_engine"));
    for (unsigned i = 0; i < STORAGE_ENGINE_COUNT; i++) {
        assert_true(schema_word_index(row, text_of_string(storage_engine_name((enum storage_engine)i)), &index));
        assert_int_equal(index, i);
    }
}

static void quantities_are_written_in_the_largest_unit(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        uint64_t value;
        const char *text;
    } rows[] = {
        {"timeouts.connect", 1500, "1500ms"},
        {"timeouts.connect", 4000, "4s"},
        {"timeouts.connect", 120000, "2m"},
        {"timeouts.connect", 7200000, "2h"},
        {"timeouts.connect", 0, "0"},
        {"limits.head", 81920, "80KiB"},
        {"limits.head", 1000, "1000B"},
        {"limits.head", 3 << 20, "3MiB"},
        {"limits.fields", 3600, "3600"},
        {"limits.body", 1024u << 20, "1GiB"},
        {"limits.head", UINT64_C(1025), "1025B"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char buffer[32];
        const struct schema_row *row = schema_find(text_of_string(rows[i].path));
        assert_string_equal(schema_describe_quantity(row, rows[i].value, buffer, sizeof buffer), rows[i].text);
    }
}

static void types_have_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < schema_row_count; i++)
        assert_true(strlen(schema_type_name(schema_rows[i].type)) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sound),
        cmocka_unit_test(rows_do_not_overlap),
        cmocka_unit_test(defaults_pass_their_own_rows),
        cmocka_unit_test(keys_are_found_in_their_section),
        cmocka_unit_test(suggestions_are_near),
        cmocka_unit_test(words_are_matched_and_suggested),
        cmocka_unit_test(choices_are_in_the_order_of_their_enum),
        cmocka_unit_test(quantities_are_written_in_the_largest_unit),
        cmocka_unit_test(types_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
