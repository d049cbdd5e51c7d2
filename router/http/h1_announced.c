#include "http/h1_announced.h"

void h1_announced_start(struct h1_announced *announced, const struct message_head *head)
{
    bool is_announced = head->body == BODY_LENGTH;
    *announced = (struct h1_announced){.left_bytes = is_announced ? head->content_length : 0,
                                       .waits_for_end = is_announced && head->version == MESSAGE_HTTP_2};
}

struct text h1_announced_take(struct h1_announced *announced, struct text bytes)
{
    uint64_t left_bytes = announced->left_bytes;
    announced->left_bytes -= bytes.length < left_bytes ? bytes.length : left_bytes;
    if (!announced->waits_for_end || bytes.length < left_bytes)
        return bytes;
    /* What would come behind the last byte is none of this body. */
    if (left_bytes == 0)
        return TEXT_EMPTY;
    announced->left_bytes = 0;
    announced->has_last_byte = true;
    announced->last_byte = bytes.bytes[left_bytes - 1];
    return text_of(bytes.bytes, (size_t)left_bytes - 1);
}

struct text h1_announced_end(struct h1_announced *announced)
{
    bool has_last_byte = announced->has_last_byte;
    announced->has_last_byte = false;
    return has_last_byte ? text_of(&announced->last_byte, 1) : TEXT_EMPTY;
}
