#include "upstream/probe_token.h"

#include <string.h>

#include "base/file.h"

struct text probe_token_read(const char *path, char *buffer, size_t capacity)
{
    if (path == NULL)
        return TEXT_EMPTY;
    memcpy(buffer, "Bearer ", 7);
    ptrdiff_t length = file_read_beginning(path, buffer + 7, capacity - 7);
    struct text token = text_of(buffer + 7, length > 0 ? (size_t)length : 0);
    const char *line_end = memchr(token.bytes, '\n', token.length);
    if (line_end != NULL)
        token.length = (size_t)(line_end - token.bytes);
    if (token.length > 0 && token.bytes[token.length - 1] == '\r')
        token.length--;
    return token.length == 0 ? TEXT_EMPTY : text_of(buffer, token.length + 7);
}
