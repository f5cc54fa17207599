/* The cfg grammar: [sections] of key=value lines, as Darknet writes them; .data files are the same without
 * sections. Blanks vanish from every line before it is read. Input is not trusted: lengths and counts are
 * bounded. */
#include "config/cfg_internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

#define FILE_BYTES_LIMIT ((size_t)4 << 20)
#define LINE_BYTES_LIMIT ((size_t)64 << 10)
#define SECTIONS_LIMIT 65536
#define KEYS_LIMIT 1024

static void section_destroy(cfg_section *s) {
    if (!s) return;
    for (size_t i = 0; i < s->count; i++) {
        free(s->keys[i].name);
        free(s->keys[i].value);
    }
    for (size_t i = 0; s->asked && i < s->asked->count; i++) free(s->asked->names[i]);
    if (s->asked) free(s->asked->names);
    free(s->asked);
    free(s->keys);
    free(s->name);
    free(s);
}

void cfg_destroy(cfg *c) {
    if (!c) return;
    for (size_t i = 0; i < c->count; i++) section_destroy(c->sections[i]);
    free(c->sections);
    free(c->path);
    free(c);
}

static cfg *cfg_create(const char *path) {
    cfg *c = calloc(1, sizeof *c);
    if (c && !(c->path = strdup(path))) {
        free(c);
        return NULL;
    }
    return c;
}

static cfg_section *append_section(cfg *c, const char *name, int line) {
    if (c->count == c->capacity) {
        size_t capacity = c->capacity ? c->capacity * 2 : 16;
        cfg_section **grown = realloc(c->sections, capacity * sizeof *grown);
        if (!grown) return NULL;
        c->sections = grown;
        c->capacity = capacity;
    }
    cfg_section *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->owner = c;
    s->line = line;
    s->name = strdup(name);
    s->asked = calloc(1, sizeof *s->asked);
    if (!s->name || !s->asked) {
        section_destroy(s);
        return NULL;
    }
    c->sections[c->count++] = s;
    return s;
}

cfg_section *cfg_append(cfg *c, const char *name) {
    return append_section(c, name, 0);
}

cfg_key *section_find_key(const cfg_section *s, const char *name) {
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->keys[i].name, name) == 0) return s->keys + i;
    return NULL;
}

static bool replace_value(cfg_key *key, const char *value) {
    char *copy = strdup(value);
    if (!copy) return false;
    free(key->value);
    key->value = copy;
    return true;
}

static bool append_key(cfg_section *s, const char *name, const char *value, int line) {
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 8;
        cfg_key *grown = realloc(s->keys, capacity * sizeof *grown);
        if (!grown) return false;
        s->keys = grown;
        s->capacity = capacity;
    }
    cfg_key key = {strdup(name), strdup(value), line, false};
    if (!key.name || !key.value) {
        free(key.name);
        free(key.value);
        return false;
    }
    s->keys[s->count++] = key;
    return true;
}

bool cfg_set(cfg_section *s, const char *key, const char *value) {
    cfg_key *found = section_find_key(s, key);
    return found ? replace_value(found, value) : append_key(s, key, value, s->line);
}

/* ---- reading ---- */

typedef struct reader {
    cfg *out;
    cfg_section *section; /* the one that keys go to, NULL before the first */
    bool has_sections;
    bool full;     /* no section fits any more */
    bool skipping; /* after a section that could not be read, its keys are left out too */
    int line;
    diagnostics *d;
} reader;

/* Each reading function returns false only when memory is out; mistakes go to the diagnostics. */
static bool read_section_line(reader *r, char *text, size_t length) {
    const char *path = r->out->path;
    r->skipping = true;
    if (!r->has_sections) {
        diagnostics_error(r->d, "%s:%d: \"%.80s\": a section, where only key = value lines belong", path,
                          r->line, text);
        return true;
    }
    if (text[length - 1] != ']' || length < 3 || memchr(text + 1, ']', length - 2) || strchr(text + 1, '[')) {
        diagnostics_error(r->d, "%s:%d: \"%.80s\" is not a section: [name] is wanted", path, r->line, text);
        return true;
    }
    if (r->out->count == SECTIONS_LIMIT) {
        if (!r->full) diagnostics_error(r->d, "%s:%d: more than %d sections", path, r->line, SECTIONS_LIMIT);
        r->full = true;
        return true;
    }
    text[length - 1] = 0;
    r->section = append_section(r->out, text + 1, r->line);
    r->skipping = false;
    return r->section != NULL;
}

static bool read_key_line(reader *r, char *text) {
    const char *path = r->out->path;
    char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        diagnostics_error(r->d, "%s:%d: \"%.80s\" is neither %skey=value nor a comment", path, r->line, text,
                          r->has_sections ? "[section], " : "");
        return true;
    }
    if (r->skipping) return true;
    *equals = 0;
    if (!r->section) {
        diagnostics_error(r->d, "%s:%d: key %.80s stands before the first [section]", path, r->line, text);
        return true;
    }
    cfg_key *earlier = section_find_key(r->section, text);
    if (earlier) {
        diagnostics_warning(r->d, "%s:%d: %.80s is already set in line %d: this later value holds", path,
                            r->line, text, earlier->line);
        earlier->line = r->line;
        return replace_value(earlier, equals + 1);
    }
    if (r->section->count == KEYS_LIMIT) {
        diagnostics_error(r->d, "%s:%d: more than %d keys in one section", path, r->line, KEYS_LIMIT);
        r->skipping = true;
        return true;
    }
    return append_key(r->section, text, equals + 1, r->line);
}

/* Drops blanks; returns the length left. '\r' counts as a blank, so that CRLF files read the same. */
static size_t drop_blanks(char *to, const char *from, size_t bytes) {
    size_t length = 0;
    for (size_t i = 0; i < bytes; i++)
        if (from[i] != ' ' && from[i] != '\t' && from[i] != '\r') to[length++] = from[i];
    to[length] = 0;
    return length;
}

static bool read_line(reader *r, const char *line, size_t bytes, char *scratch) {
    if (bytes > LINE_BYTES_LIMIT) {
        diagnostics_error(r->d, "%s:%d: a line of %zu bytes: at most %zu are read", r->out->path, r->line,
                          bytes, LINE_BYTES_LIMIT);
        return true;
    }
    if (memchr(line, 0, bytes)) {
        diagnostics_error(r->d, "%s:%d: a zero byte: this is not a text file", r->out->path, r->line);
        return true;
    }
    size_t length = drop_blanks(scratch, line, bytes);
    if (length == 0 || scratch[0] == '#' || scratch[0] == ';') return true;
    if (scratch[0] == '[') return read_section_line(r, scratch, length);
    return read_key_line(r, scratch);
}

static bool read_lines(reader *r, const char *text, size_t bytes) {
    char *scratch = malloc(LINE_BYTES_LIMIT + 1);
    bool good = scratch != NULL;
    size_t at = bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* a byte order mark */
    while (good && at < bytes) {
        const char *newline = memchr(text + at, '\n', bytes - at);
        size_t length = newline ? (size_t)(newline - text) - at : bytes - at;
        r->line++;
        good = read_line(r, text + at, length, scratch);
        at += length + 1;
    }
    free(scratch);
    return good;
}

static cfg *parse(const char *text, size_t bytes, const char *name, bool has_sections, diagnostics *d,
                  error *e) {
    if (bytes > FILE_BYTES_LIMIT) {
        error_set(e, "%s: %zu bytes: at most %zu are read here", name, bytes, FILE_BYTES_LIMIT);
        return NULL;
    }
    reader r = {.out = cfg_create(name), .has_sections = has_sections, .d = d};
    bool good = r.out != NULL;
    if (good && !has_sections) good = (r.section = append_section(r.out, "data", 0)) != NULL;
    if (good) good = read_lines(&r, text, bytes);
    if (good) return r.out;
    cfg_destroy(r.out);
    error_set(e, "%s: out of memory", name);
    return NULL;
}

static cfg *read_file(const char *path, bool has_sections, diagnostics *d, error *e) {
    size_t bytes;
    char *text = file_read(path, FILE_BYTES_LIMIT, &bytes, e);
    if (!text) return NULL;
    cfg *c = parse(text, bytes, path, has_sections, d, e);
    free(text);
    return c;
}

cfg *cfg_read(const char *path, diagnostics *d, error *e) {
    return read_file(path, true, d, e);
}

cfg *cfg_parse(const char *text, size_t bytes, const char *name, diagnostics *d, error *e) {
    return parse(text, bytes, name, true, d, e);
}

cfg *data_file_read(const char *path, diagnostics *d, error *e) {
    return read_file(path, false, d, e);
}

/* ---- looking around ---- */

const char *cfg_path(const cfg *c) {
    return c->path;
}

size_t cfg_section_count(const cfg *c) {
    return c->count;
}

cfg_section *cfg_section_at(const cfg *c, size_t i) {
    return i < c->count ? c->sections[i] : NULL;
}

cfg_section *cfg_find(const cfg *c, const char *name) {
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->sections[i]->name, name) == 0) return c->sections[i];
    return NULL;
}
