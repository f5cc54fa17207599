/* Reading Accelergy's energy reference tables, with libyaml's document tree. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "ert.h"

typedef struct reading {
    yaml_document_t document;
    const char *name;
    hd_ert *ert;
    size_t room;
    hd_error *error;
} reading;

static bool wrong(const reading *r, const yaml_node_t *at, const char *what) {
    return hd_fail(r->error, "%s:%zu: %s", r->name, at ? at->start_mark.line + 1 : 1, what);
}

static yaml_node_t *value_of(reading *r, const yaml_node_t *mapping, const char *key) {
    if (!mapping || mapping->type != YAML_MAPPING_NODE) return NULL;
    for (const yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < mapping->data.mapping.pairs.top;
         p++) {
        const yaml_node_t *k = yaml_document_get_node(&r->document, p->key);
        if (k && k->type == YAML_SCALAR_NODE && strcmp((const char *)k->data.scalar.value, key) == 0)
            return yaml_document_get_node(&r->document, p->value);
    }
    return NULL;
}

static const char *text_of(const yaml_node_t *node) {
    return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

static bool add(reading *r, const char *component, const yaml_node_t *action, double energy_pj) {
    hd_ert *e = r->ert;
    if (e->count == r->room) {
        size_t room = r->room ? 2 * r->room : 16;
        hd_ert_action *bigger = realloc(e->actions, room * sizeof *bigger);
        if (!bigger) return wrong(r, action, "out of memory");
        e->actions = bigger;
        r->room = room;
    }
    hd_ert_action *a = &e->actions[e->count];
    *a = (hd_ert_action){strdup(component), strdup(text_of(value_of(r, action, "name"))), energy_pj};
    e->count++;
    return (a->component && a->action) || wrong(r, action, "out of memory");
}

static bool read_action(reading *r, const char *component, const yaml_node_t *action) {
    const char *energy = text_of(value_of(r, action, "energy"));
    if (!text_of(value_of(r, action, "name"))) return wrong(r, action, "an action needs a name");
    if (!energy) return wrong(r, action, "an action needs an energy");
    char *end;
    double pj = strtod(energy, &end);
    if (end == energy || *end || !isfinite(pj) || pj < 0 || pj > 1e9)
        return wrong(r, value_of(r, action, "energy"), "an energy is a number of pJ from 0 to 1e9");
    return add(r, component, action, pj);
}

static bool read_component(reading *r, const yaml_node_t *table) {
    const char *component = text_of(value_of(r, table, "name"));
    const yaml_node_t *actions = value_of(r, table, "actions");
    if (!component) return wrong(r, table, "a table of an ERT needs a name");
    if (!actions || actions->type != YAML_SEQUENCE_NODE)
        return wrong(r, table, "a table of an ERT needs a list of actions");
    for (const yaml_node_item_t *i = actions->data.sequence.items.start; i < actions->data.sequence.items.top;
         i++)
        if (!read_action(r, component, yaml_document_get_node(&r->document, *i))) return false;
    return true;
}

static bool read_document(reading *r) {
    const yaml_node_t *root = yaml_document_get_root_node(&r->document);
    const yaml_node_t *ert = value_of(r, root, "ERT");
    const yaml_node_t *tables = value_of(r, ert, "tables");
    if (!ert) return wrong(r, root, "an ERT: is needed, with version and tables");
    if (!tables || tables->type != YAML_SEQUENCE_NODE)
        return wrong(r, ert, "ERT: a list of tables is needed");
    for (const yaml_node_item_t *i = tables->data.sequence.items.start; i < tables->data.sequence.items.top;
         i++)
        if (!read_component(r, yaml_document_get_node(&r->document, *i))) return false;
    return r->ert->count > 0 || wrong(r, tables, "ERT: no action with an energy");
}

bool hd_ert_parse(const char *text, size_t bytes, const char *name, hd_ert *ert, hd_error *error) {
    *ert = (hd_ert){0};
    reading r = {.name = name, .ert = ert, .error = error};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) return hd_fail(error, "%s: out of memory", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
    bool good = yaml_parser_load(&parser, &r.document);
    if (!good) {
        hd_fail(error, "%s:%zu: not YAML: %s", name, parser.problem_mark.line + 1,
                parser.problem ? parser.problem : "it cannot be read");
    } else {
        good = read_document(&r);
        yaml_document_delete(&r.document);
    }
    yaml_parser_delete(&parser);
    if (!good) hd_ert_free(ert);
    return good;
}

void hd_ert_free(hd_ert *ert) {
    for (size_t i = 0; i < ert->count; i++) {
        free(ert->actions[i].component);
        free(ert->actions[i].action);
    }
    free(ert->actions);
    *ert = (hd_ert){0};
}

static bool is_component(const char *whole, const char *wanted) {
    if (strcmp(whole, wanted) == 0) return true;
    size_t end = strlen(whole), start;
    if (end && whole[end - 1] == ']')
        while (end && whole[end] != '[') end--;
    for (start = end; start && whole[start - 1] != '.'; start--) continue;
    return end - start == strlen(wanted) && strncmp(whole + start, wanted, end - start) == 0;
}

bool hd_ert_energy(const hd_ert *ert, const char *component, const char *action, double *energy_pj) {
    double sum = 0;
    size_t found = 0;
    for (size_t i = 0; i < ert->count; i++) {
        if (!is_component(ert->actions[i].component, component) ||
            strcmp(ert->actions[i].action, action) != 0)
            continue;
        sum += ert->actions[i].energy_pj;
        found++;
    }
    if (found) *energy_pj = sum / (double)found;
    return found > 0;
}
