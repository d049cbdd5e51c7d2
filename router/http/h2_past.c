#include "http/h2_past.h"

void h2_past_note_head(struct h2_past *past, int32_t id)
{
    if (id <= past->last_id)
        return;
    if (id > past->last_id + 2) {
        past->gap_first_id = past->last_id + 1;
        past->gap_last_id = id - 1;
    }
    past->last_id = id;
}

void h2_past_note_reset(struct h2_past *past, int32_t id)
{
    int32_t *place = &past->reset_ids[past->reset_count++ % H2_PAST_RESETS];
    if (*place > past->forgotten_id)
        past->forgotten_id = *place;
    *place = id;
}

enum h2_past_stream h2_past_find(const struct h2_past *past, int32_t id)
{
    if (id >= past->gap_first_id && id <= past->gap_last_id)
        return H2_PAST_SKIPPED;
    if (id <= past->forgotten_id)
        return H2_PAST_RESET_HERE;
    for (unsigned i = 0; i < H2_PAST_RESETS; i++) {
        if (past->reset_ids[i] == id)
            return H2_PAST_RESET_HERE;
    }
    return H2_PAST_ENDED;
}
