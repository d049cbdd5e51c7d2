#include "net/input.h"

#include <stdlib.h>

#include "base/memory_account.h"

void input_clear(struct input *input)
{
    free(input->bytes);
    memory_account_give(input->account, MEMORY_INPUT, input->capacity);
    *input = (struct input){.account = input->account};
}

static bool make_room(struct input *input, size_t capacity)
{
    if (capacity <= input->capacity)
        return true;
    char *larger = realloc(input->bytes, capacity);
    if (larger == NULL)
        return false;
    input->bytes = larger;
    memory_account_take(input->account, MEMORY_INPUT, capacity - input->capacity);
    input->capacity = capacity;
    return true;
}

bool input_keep(struct input *input, struct text bytes)
{
    if (bytes.length == 0) {
        input_clear(input);
        return true;
    }
    bool is_own = input->bytes != NULL && bytes.bytes >= input->bytes && bytes.bytes <= input->bytes + input->length;
    if (!is_own && !make_room(input, bytes.length))
        return false;
    if (bytes.bytes != input->bytes)
        memmove(input->bytes, bytes.bytes, bytes.length);
    input->length = bytes.length;
    return true;
}

bool input_append(struct input *input, struct text bytes)
{
    size_t wanted = input->length + bytes.length;
    if (wanted > input->capacity && !make_room(input, input->capacity * 2 > wanted ? input->capacity * 2 : wanted))
        return false;
    memcpy(input->bytes + input->length, bytes.bytes, bytes.length);
    input->length = wanted;
    return true;
}
