/*
 * JSON as it may be shown.  See escape.h.
 *
 * Outside of strings JSON has no unwelcome character; within, jansson escapes what JSON itself
 * forbids, and hands over whole characters.
 */
#include "report/escape.h"

#include "base/characters.h"
#include "sym/store.h"

static int piece_write(const char *piece, size_t bytes, void *user)
{
    FILE *file = user;
    const char *end = piece + bytes, *plain = piece;
    while (piece < end) {
        const unsigned char *p = (const unsigned char *)piece;
        if (*p < 0x7f) { /* nearly always */
            piece++;
            continue;
        }
        unsigned length = crn_character_bytes(piece);
        if (length == 0 || !crn_character_is_unwelcome(piece, length)) {
            piece += length == 0 ? 1 : length;
            continue;
        }
        unsigned code = length == 1   ? *p
                        : length == 2 ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu)
                                      : (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
        fwrite(plain, 1, (size_t)(piece - plain), file);
        fprintf(file, "\\u%04x", code);
        plain = piece += length;
    }
    fwrite(plain, 1, (size_t)(end - plain), file);
    return 0;
}

void crn_json_write(const json_t *value, FILE *file, size_t flags)
{
    if (value == NULL || json_dump_callback(value, piece_write, file, flags) != 0)
        crn_out_of_memory();
}
