/* Config: Darknet's text formats. cfg files become sections of typed keys; every mistake is collected with
 * its file:line, so that a user sees all of them at once. */
#ifndef DARKNET_CONFIG_CONFIG_H
#define DARKNET_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

/* A growing list of sentences. Bounded: 100 entries are kept (errors before warnings), the rest is only
 * counted. A NULL d is allowed wherever one is passed: the sentences are then dropped. */
typedef struct diagnostics diagnostics;
diagnostics *diagnostics_create(void);
void diagnostics_destroy(diagnostics *d);
void diagnostics_error(diagnostics *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void diagnostics_warning(diagnostics *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* All errors, kept or not; entries that diagnostics_get gives; and how many more there were. */
size_t diagnostics_error_count(const diagnostics *d);
size_t diagnostics_count(const diagnostics *d);
size_t diagnostics_dropped(const diagnostics *d);
/* Entry i: its sentence, and whether it is a warning (is_warning may be NULL); NULL when there is no entry i.
 */
const char *diagnostics_get(const diagnostics *d, size_t i, bool *is_warning);

typedef struct cfg cfg;                 /* a whole file */
typedef struct cfg_section cfg_section; /* one [name] and its keys */

/* Reads a cfg; NULL and a sentence when the file cannot be read or is larger than 4 MiB. Grammar mistakes
 * (key outside a section, no '=', a line too long, a zero byte) go to d, and the rest is read all the same. A
 * key that is set twice holds its last value, with a warning. cfg_parse reads text that need not be
 * zero-terminated; `name` stands in messages. */
cfg *cfg_read(const char *path, diagnostics *d, error *e);
cfg *cfg_parse(const char *text, size_t bytes, const char *name, diagnostics *d, error *e);
void cfg_destroy(cfg *c);

const char *cfg_path(const cfg *c);
size_t cfg_section_count(const cfg *c);
cfg_section *cfg_section_at(const cfg *c, size_t i);
/* First section of that name, or NULL. */
cfg_section *cfg_find(const cfg *c, const char *name);
/* Appends an empty section (line 0: "implied"), returns it, NULL when out of memory. */
cfg_section *cfg_append(cfg *c, const char *name);
/* Sets a key as though it stood in the file (a command line's override); replaces an existing one. */
bool cfg_set(cfg_section *s, const char *key, const char *value);

const char *section_name(const cfg_section *s);
int section_line(const cfg_section *s);
const char *section_path(const cfg_section *s); /* the file it stands in, for messages */
bool section_has(const cfg_section *s, const char *key);
/* Line of a key, or the section's when it is absent. */
int section_key_line(const cfg_section *s, const char *key);

/* Typed readers. Each marks the key as known. A value that is no number, or is outside [min, max], is an
 * error in d (file:line: key: "value" is not ...) and the default is returned. */
int section_int(const cfg_section *s, const char *key, int fallback, int min, int max, diagnostics *d);
double section_number(const cfg_section *s, const char *key, double fallback, double min, double max,
                      diagnostics *d);
bool section_flag(const cfg_section *s, const char *key, bool fallback, diagnostics *d); /* 0 or 1 */
/* Points into the section; NULL fallback allowed. */
const char *section_string(const cfg_section *s, const char *key, const char *fallback);
/* Comma-separated numbers; *values is malloc'ed (NULL when the key is absent), freed by the caller; returns
 * the count. One item that is no number (an empty one, too) is an error in d and the whole list is then
 * absent. */
size_t section_int_list(const cfg_section *s, const char *key, int **values, diagnostics *d);
size_t section_number_list(const cfg_section *s, const char *key, double **values, diagnostics *d);

/* After a section is parsed: a warning for each key nobody asked for, with "did you mean" when a key that was
 * asked for differs by one or two letters. */
void section_report_unknown(const cfg_section *s, diagnostics *d);
/* The closest of `names` (by edit distance, at most 2 and less than half the length), or NULL. */
const char *closest_name(const char *word, const char *const *names, size_t count);

/* ---- .data files: key = value, no sections; the same readers serve through one section ---- */
cfg *data_file_read(const char *path, diagnostics *d, error *e); /* one section named "data" */

/* ---- lists: one entry a line; blank lines dropped, '\r' and trailing blanks stripped ---- */
typedef struct string_list {
    char **items; /* zero-terminated each; one block with the text, never freed one by one */
    size_t count;
} string_list;
bool string_list_read(const char *path, string_list *list, error *e);
void string_list_free(string_list *list);

#endif
