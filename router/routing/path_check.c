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

static bool is_separator(int byte)
{
    return byte == '/' || byte == '\\';
}

/*
 * The second pass: each escape is sound, and no segment is a dot segment once decoded and freed of its parameters, an escaped separator
 * being one. In a path that was decoded before a percent sign may stand for itself.
 */
static enum path_shape shape_of_escapes(struct text path, bool is_raw)
{
    enum path_shape shape = PATH_SHAPE_FOLDABLE;
    struct segment segment = {0};
    for (size_t i = 1; i < path.length; i++) {
        int byte = (unsigned char)path.bytes[i];
        int escaped = byte == '%' ? decode_escape(path, i) : -1;
        if (byte == '%' && (is_raw || escaped >= 0)) {
            if (is_dangerous_escape(escaped))
                return PATH_SHAPE_REFUSED;
            byte = escaped;
            i += 2;
            if (is_separator(byte))
                shape = PATH_SHAPE_ESCAPED_SEPARATOR;
        }
        if (is_separator(byte)) {
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

/* Nobody decodes more often than this: a front end, a framework and a handler. */
#define DECODINGS_MAXIMUM 3

/* Likewise for those who decode once more what was decoded: "%252e" is a dot to them. No name needs a separator that is escaped twice. */
static bool is_sound_when_decoded(struct text path)
{
    char buffer[PATH_CANONICAL_BYTES];
    size_t length = path.length;
    memcpy(buffer, path.bytes, length);
    for (int i = 1; i < DECODINGS_MAXIMUM && decode_once(buffer, &length); i++) {
        if (shape_of_escapes(text_of(buffer, length), false) != PATH_SHAPE_FOLDABLE)
            return false;
    }
    return true;
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
    if (path.length > PATH_CANONICAL_BYTES)
        return PATH_SHAPE_REFUSED;
    enum path_shape shape = shape_of_escapes(path, true);
    return shape != PATH_SHAPE_REFUSED && is_sound_when_decoded(path) ? shape : PATH_SHAPE_REFUSED;
}

/* Turns backslashes, folds case, and cuts at what would begin a query or a fragment. */
static size_t fold(char *buffer, size_t length, bool cuts_query)
{
    for (size_t i = 0; i < length; i++) {
        if (cuts_query && (buffer[i] == '?' || buffer[i] == '#'))
            return i;
        buffer[i] = buffer[i] == '\\' ? '/' : text_lower(buffer[i]);
    }
    return length;
}

/* Writes the segments back over themselves: what is written never overtakes what is read. */
static size_t resolve_segments(char *buffer, size_t length, unsigned reading)
{
    struct text rest = text_of(buffer, length);
    bool ends_with_slash = false;
    size_t used = 0;
    while (rest.bytes != NULL) {
        struct text name = text_cut(&rest, '/');
        if ((reading & PATH_READING_CUTS_PARAMETERS) != 0) {
            struct text parameters = name;
            name = text_cut(&parameters, ';');
        }
        bool is_above = text_equals(name, TEXT(".."));
        ends_with_slash = name.length == 0 || text_equals(name, TEXT(".")) || is_above;
        while (is_above && used > 0 && buffer[--used] != '/')
            ;
        if (ends_with_slash)
            continue;
        buffer[used++] = '/';
        memmove(buffer + used, name.bytes, name.length);
        used += name.length;
    }
    if (used == 0 || (ends_with_slash && (reading & PATH_READING_KEEPS_SLASH) != 0))
        buffer[used++] = '/';
    return used;
}

size_t path_canonical(struct text path, unsigned reading, char *buffer)
{
    size_t length = path.length < PATH_CANONICAL_BYTES ? path.length : PATH_CANONICAL_BYTES;
    memcpy(buffer, path.bytes, length);
    for (int i = 0; i < DECODINGS_MAXIMUM && decode_once(buffer, &length); i++)
        ;
    length = fold(buffer, length, (reading & PATH_READING_CUTS_QUERY) != 0);
    return resolve_segments(buffer, length, reading);
}
