#include "routing/path_check.h"

#include <stdint.h>

#include "base/hex.h"

/* What a byte means to the first pass. Zero, the default, is a byte that every reader takes for itself. */
enum byte_kind { BYTE_PLAIN, BYTE_SLASH, BYTE_DOT, BYTE_CARE, BYTE_BAD };

static const uint8_t byte_kinds[256] = {
    [0x00 ... 0x1f] = BYTE_BAD, [0x7f] = BYTE_BAD,  [' '] = BYTE_BAD,          ['\\'] = BYTE_BAD,
    ['#'] = BYTE_BAD,           ['?'] = BYTE_BAD,   ['A' ... 'Z'] = BYTE_CARE, ['%'] = BYTE_CARE,
    [';'] = BYTE_CARE,          ['/'] = BYTE_SLASH, ['.'] = BYTE_DOT,
};

/* The byte that the escape at `position` stands for, or -1 when it is no escape. */
static int decode_escape(struct text path, size_t position)
{
    if (path.length - position < 3 || path.bytes[position] != '%')
        return -1;
    return hex_byte(path.bytes[position + 1], path.bytes[position + 2]);
}

/* A broken escape (-1), or a control. */
static bool is_dangerous_escape(int byte)
{
    return byte < 0x20 || byte == 0x7f;
}

/* What has come of a segment. */
struct segment {
    size_t name_length;
    size_t dots;
    bool in_parameters;
};

static bool is_dot_segment(const struct segment *segment)
{
    return segment->name_length == segment->dots && (segment->dots == 1 || segment->dots == 2);
}

/*
 * The second pass: each escape is sound, and no segment is a dot segment once decoded and freed of its parameters, an escaped separator
 * being one.
 */
static enum path_shape shape_of_escapes(struct text path)
{
    enum path_shape shape = PATH_SHAPE_FOLDABLE;
    struct segment segment = {0};
    for (size_t i = 1; i < path.length; i++) {
        int byte = (unsigned char)path.bytes[i];
        if (byte == '%') {
            byte = decode_escape(path, i);
            if (is_dangerous_escape(byte))
                return PATH_SHAPE_REFUSED;
            i += 2;
            if (byte == '/' || byte == '\\')
                shape = PATH_SHAPE_ESCAPED_SEPARATOR;
        }
        if (byte == '/' || byte == '\\') {
            if (is_dot_segment(&segment))
                return PATH_SHAPE_REFUSED;
            segment = (struct segment){0};
            continue;
        }
        segment.in_parameters = segment.in_parameters || byte == ';';
        if (!segment.in_parameters) {
            segment.name_length++;
            segment.dots += byte == '.';
        }
    }
    return is_dot_segment(&segment) ? PATH_SHAPE_REFUSED : shape;
}

enum path_shape path_shape(struct text path)
{
    if (path.length == 0 || path.bytes[0] != '/')
        return PATH_SHAPE_REFUSED;
    bool needs_care = path.length > 1 && path.bytes[path.length - 1] == '/';
    for (size_t i = 1; i < path.length; i++) {
        uint8_t kind = byte_kinds[(unsigned char)path.bytes[i]];
        if (kind == BYTE_PLAIN)
            continue;
        if (kind == BYTE_BAD || (kind == BYTE_SLASH && path.bytes[i - 1] == '/'))
            return PATH_SHAPE_REFUSED;
        needs_care = needs_care || kind == BYTE_CARE || (kind == BYTE_DOT && path.bytes[i - 1] == '/');
    }
    if (!needs_care)
        return PATH_SHAPE_PLAIN;
    return path.length > PATH_CANONICAL_BYTES ? PATH_SHAPE_REFUSED : shape_of_escapes(path);
}

/* Decodes in place; true when there was something to decode. */
static bool decode_once(char *buffer, size_t *length)
{
    struct text source = text_of(buffer, *length);
    size_t used = 0;
    for (size_t i = 0; i < source.length; i++) {
        int byte = decode_escape(source, i);
        if (byte >= 0)
            i += 2;
        buffer[used++] = byte >= 0 ? (char)byte : source.bytes[i];
    }
    bool changed = used != *length;
    *length = used;
    return changed;
}

/* Turns backslashes, folds case, and cuts at what would begin a query or a fragment. */
static size_t fold(char *buffer, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (buffer[i] == '?' || buffer[i] == '#')
            return i;
        buffer[i] = buffer[i] == '\\' ? '/' : text_lower(buffer[i]);
    }
    return length;
}

/* Writes the segments back over themselves: what is written never overtakes what is read. */
static size_t resolve_segments(char *buffer, size_t length)
{
    struct text rest = text_of(buffer, length);
    size_t used = 0;
    while (rest.bytes != NULL) {
        struct text parameters = text_cut(&rest, '/');
        struct text name = text_cut(&parameters, ';');
        if (name.length == 0 || text_equals(name, TEXT(".")))
            continue;
        if (text_equals(name, TEXT(".."))) {
            while (used > 0 && buffer[--used] != '/')
                ;
            continue;
        }
        buffer[used++] = '/';
        memmove(buffer + used, name.bytes, name.length);
        used += name.length;
    }
    if (used == 0)
        buffer[used++] = '/';
    return used;
}

size_t path_canonical(struct text path, char *buffer)
{
    /* Nobody decodes more often than this: a front end, a framework and a handler. */
    enum { DECODINGS_MAXIMUM = 3 };

    size_t length = path.length < PATH_CANONICAL_BYTES ? path.length : PATH_CANONICAL_BYTES;
    memcpy(buffer, path.bytes, length);
    for (int i = 0; i < DECODINGS_MAXIMUM && decode_once(buffer, &length); i++)
        ;
    return resolve_segments(buffer, fold(buffer, length));
}
