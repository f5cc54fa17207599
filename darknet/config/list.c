/* Lists: one entry a line (image paths, label names). */
#include "config/config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

#define FILE_BYTES_LIMIT ((size_t)256 << 20)
#define LINE_BYTES_LIMIT ((size_t)4096)

/* Length of the line at `text` up to its '\n' or the end. */
static size_t line_length(const char *text, size_t bytes) {
    const char *newline = memchr(text, '\n', bytes);
    return newline ? (size_t)(newline - text) : bytes;
}

static size_t without_trailing_blanks(const char *line, size_t length) {
    while (length && strchr(" \t\r", line[length - 1])) length--;
    return length;
}

static bool check_line(const char *path, size_t number, const char *line, size_t length, error *e) {
    if (memchr(line, 0, length))
        return error_set(e, "%s:%zu: a zero byte: a list is text, one entry a line", path, number);
    if (length > LINE_BYTES_LIMIT)
        return error_set(e, "%s:%zu: a line of %zu bytes: at most %zu are read", path, number, length,
                         LINE_BYTES_LIMIT);
    return true;
}

/* Entries and text share one block: the pointers first, then a copy of the file with zeros at the lines'
 * ends. */
static bool split(const char *path, const char *text, size_t bytes, string_list *list, error *e) {
    size_t count = 0, number = 1;
    for (size_t at = 0, length; at < bytes; at += length + 1, number++) {
        length = line_length(text + at, bytes - at);
        if (!check_line(path, number, text + at, length, e)) return false;
        count += without_trailing_blanks(text + at, length) > 0;
    }
    char **items = malloc(count * sizeof *items + bytes + 1);
    if (!items) return error_set(e, "%s: out of memory for %zu entries", path, count);
    char *copy = (char *)(items + count);
    memcpy(copy, text, bytes);
    size_t filled = 0;
    for (size_t at = 0, length; at < bytes; at += length + 1) {
        length = line_length(text + at, bytes - at);
        size_t kept = without_trailing_blanks(copy + at, length);
        copy[at + kept] = 0;
        if (kept) items[filled++] = copy + at;
    }
    *list = (string_list){items, count};
    return true;
}

bool string_list_read(const char *path, string_list *list, error *e) {
    *list = (string_list){0};
    size_t bytes;
    char *text = file_read(path, FILE_BYTES_LIMIT, &bytes, e);
    if (!text) return false;
    bool good = split(path, text, bytes, list, e);
    free(text);
    return good;
}

void string_list_free(string_list *list) {
    free(list->items);
    *list = (string_list){0};
}
