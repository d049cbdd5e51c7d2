#include "base/hex.h"

size_t hex_put_u64(char out[HEX_U64_DIGITS], uint64_t value, unsigned width)
{
    unsigned count = width < HEX_U64_DIGITS ? width : HEX_U64_DIGITS;
    while (count < HEX_U64_DIGITS && value >> 4 * count != 0)
        count++;
    for (unsigned i = 0; i < count; i++)
        out[i] = HEX_LOWER[value >> 4 * (count - 1 - i) & 15];
    return count;
}
