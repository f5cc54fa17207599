/* Energy tables: JSON text into coefficients, each key checked, each mistake named with the file and the key.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "hdloss.h"

static const double largest_pj = 1e9; /* beyond any cell's energy: keeps sums of products finite */

/* A JSON object and where it stands, for sentences. */
typedef struct place {
    const char *file;
    char path[192];
    json_t *object;
    hd_error *error;
} place;

static bool wrong(const place *p, const char *key, const char *what) {
    return hd_fail(p->error, "%s: %s%s%s: %s", p->file, p->path, *p->path ? "." : "", key, what);
}

static bool enter(const place *outer, const char *key, place *inner) {
    *inner = *outer;
    snprintf(inner->path, sizeof inner->path, "%.120s%s%.64s", outer->path, *outer->path ? "." : "", key);
    inner->object = json_object_get(outer->object, key);
    return json_is_object(inner->object) || wrong(outer, key, "an object {...} is needed");
}

static bool read_text(const place *p, const char *key, char *text, size_t bytes) {
    const char *value = json_string_value(json_object_get(p->object, key));
    if (!value || !*value) return wrong(p, key, "a text is needed");
    if (strlen(value) >= bytes) return wrong(p, key, "the text is too long");
    memcpy(text, value, strlen(value) + 1);
    return true;
}

static bool check_number(const place *p, const char *key, const json_t *value, double least, double most) {
    if (json_is_number(value) && json_number_value(value) >= least && json_number_value(value) <= most)
        return true;
    char what[128];
    snprintf(what, sizeof what, "a number from %g to %g is needed", least, most);
    return wrong(p, key, what);
}

static bool read_number(const place *p, const char *key, double least, double most, double *number) {
    const json_t *value = json_object_get(p->object, key);
    if (!check_number(p, key, value, least, most)) return false;
    *number = json_number_value(value);
    return true;
}

static bool append(const place *p, const char *key, const char *piece, char *text, size_t bytes) {
    size_t used = strlen(text);
    int written = snprintf(text + used, bytes - used, "%s%s", used ? "; " : "", piece);
    return (written >= 0 && (size_t)written < bytes - used) || wrong(p, key, "the text is too long");
}

/* ["a", "b"] -> "a; b" */
static bool read_text_list(const place *p, const char *key, char *text, size_t bytes) {
    const json_t *list = json_object_get(p->object, key);
    size_t i;
    json_t *item;
    text[0] = 0;
    json_array_foreach(list, i, item) {
        if (!json_is_string(item)) return wrong(p, key, "a list of texts is needed");
        if (!append(p, key, json_string_value(item), text, bytes)) return false;
    }
    return *text || wrong(p, key, "a list of texts is needed");
}

/* {"a": "b", "c": "d"} -> "a: b; c: d" */
static bool read_text_table(const place *p, const char *key, char *text, size_t bytes) {
    place inner;
    if (!enter(p, key, &inner)) return false;
    const char *name;
    json_t *value;
    char piece[1024];
    text[0] = 0;
    json_object_foreach(inner.object, name, value) {
        if (!json_is_string(value)) return wrong(&inner, name, "a text is needed");
        int written = snprintf(piece, sizeof piece, "%s: %s", name, json_string_value(value));
        if (written < 0 || (size_t)written >= sizeof piece)
            return wrong(&inner, name, "the text is too long");
        if (!append(p, key, piece, text, bytes)) return false;
    }
    return *text || wrong(p, key, "at least one entry is needed");
}

static bool read_bit_costs(const place *p, hd_energy_model *m) {
    const json_t *list = json_object_get(p->object, "bit_costs_pj");
    if (json_array_size(list) != HD_MAXIMUM_BITS)
        return wrong(p, "bit_costs_pj", "a list of 8 numbers, bit 0 to 7, is needed");
    for (size_t b = 0; b < HD_MAXIMUM_BITS; b++) {
        const json_t *value = json_array_get(list, b);
        if (!check_number(p, "bit_costs_pj", value, 0, largest_pj)) return false;
        m->bit_costs_pj[b] = json_number_value(value);
        if (m->bit_costs_pj[b] < m->propagation_pj_per_flip)
            return wrong(p, "bit_costs_pj", "a flip costs less than its propagation, which it includes");
    }
    return true;
}

static bool read_held_out_errors(const place *p, hd_energy_model *m) {
    const json_t *list = json_object_get(p->object, "held_out_errors_percent");
    size_t room = sizeof m->held_out_errors_percent / sizeof *m->held_out_errors_percent;
    if (!json_is_array(list) || json_array_size(list) > room)
        return wrong(p, "held_out_errors_percent", "a list of up to 8 numbers is needed");
    m->held_out_error_count = json_array_size(list);
    for (size_t i = 0; i < m->held_out_error_count; i++) {
        const json_t *value = json_array_get(list, i);
        if (!check_number(p, "held_out_errors_percent", value, -1e6, 1e6)) return false;
        m->held_out_errors_percent[i] = json_number_value(value);
    }
    return true;
}

/* ---- what only a calibrated table has: "measured", each part of it optional ---- */
/* names[] of an object in order, ending with NULL. */
static bool read_numbers(const place *p, const char *const *names, double least, double *numbers) {
    for (size_t i = 0; names[i]; i++)
        if (!read_number(p, names[i], least, largest_pj, &numbers[i])) return false;
    return true;
}

static const char *const term_names[] = {"a0", "aw", "ax",    "as",     "app", "ap",
                                         "ab", "an", "aroot", "acarry", "axs", NULL};
static const char *const transferable_names[] = {"a0", "aw", "ax", "as", "app", "ap", "ab", "an", NULL};
static const char *const plan_names[] = {
    "cycle_pj", "flip_pj", "sign_flip_pj", "partial_product_flip_pj", "activation_flip_pj", NULL};

static bool read_parts(const place *measured, hd_energy_model *m) {
    place parts, natural, part;
    if (!enter(measured, "parts", &parts) || !enter(measured, "natural_pj_per_cycle", &natural)) return false;
    for (int i = 0; i < HD_PART_OTHER; i++) {
        const char *name = hd_energy_part_name((hd_energy_part)i);
        if (!enter(&parts, name, &part) || !read_numbers(&part, transferable_names, 0, m->parts[i]) ||
            !read_number(&natural, name, 0, largest_pj, &m->natural_pj_per_cycle[i]))
            return false;
    }
    return true;
}

static bool read_measured(const place *model, hd_energy_model *m) {
    place p, inner;
    m->clock_idle_pj_per_cycle = m->clock_pj_per_cycle;
    if (!json_object_get(model->object, "measured")) return true;
    if (!enter(model, "measured", &p)) return false;
    m->has_refined = json_object_get(p.object, "refined") != NULL;
    m->has_plan = json_object_get(p.object, "plan") != NULL;
    m->has_parts = json_object_get(p.object, "parts") != NULL;
    if (m->has_refined &&
        !(enter(&p, "refined", &inner) && read_numbers(&inner, term_names, -largest_pj, m->refined)))
        return false;
    if (m->has_plan && !(enter(&p, "plan", &inner) && read_numbers(&inner, plan_names, 0, m->plan)))
        return false;
    if (m->has_parts && !read_parts(&p, m)) return false;
    if (json_object_get(p.object, "propagation") &&
        !(enter(&p, "propagation", &inner) && read_number(&inner, "activation_pj_per_flip", 0, largest_pj,
                                                          &m->activation_propagation_pj_per_flip)))
        return false;
    return !json_object_get(p.object, "clock_idle_pj_per_cycle") ||
           read_number(&p, "clock_idle_pj_per_cycle", 0, largest_pj, &m->clock_idle_pj_per_cycle);
}

static bool read_model(const place *p, hd_energy_model *m) {
    place t;
    m->present = true;
    return read_text(p, "basis", m->basis, sizeof m->basis) &&
           read_number(p, "idle_pj_per_cycle", 0, largest_pj, &m->idle_pj_per_cycle) &&
           read_number(p, "propagation_pj_per_flip", 0, largest_pj, &m->propagation_pj_per_flip) &&
           read_number(p, "clock_pj_per_cycle", 0, largest_pj, &m->clock_pj_per_cycle) &&
           read_bit_costs(p, m) && read_held_out_errors(p, m) && enter(p, "transferable", &t) &&
           read_number(&t, "a0", -largest_pj, largest_pj, &m->a0) &&
           read_number(&t, "aw", -largest_pj, largest_pj, &m->aw) &&
           read_number(&t, "ax", -largest_pj, largest_pj, &m->ax) &&
           read_number(&t, "as", -largest_pj, largest_pj, &m->as) &&
           read_number(&t, "app", -largest_pj, largest_pj, &m->app) &&
           read_number(&t, "ap", -largest_pj, largest_pj, &m->ap) &&
           read_number(&t, "ab", -largest_pj, largest_pj, &m->ab) &&
           read_number(&t, "an", -largest_pj, largest_pj, &m->an) && read_measured(p, m);
}

/* models.<dataflow>.<representation>; those that are absent stay absent. */
static bool read_models(const place *root, hd_energy_table *table) {
    place models, of_dataflow, of_representation;
    size_t count = 0;
    if (!enter(root, "models", &models)) return false;
    const char *key;
    json_t *value;
    json_object_foreach(models.object, key, value) {
        hd_dataflow dataflow;
        if (!hd_dataflow_parse(key, &dataflow, NULL)) return wrong(&models, key, "is no dataflow");
        if (!enter(&models, key, &of_dataflow)) return false;
        const char *name;
        json_t *model;
        json_object_foreach(of_dataflow.object, name, model) {
            hd_representation representation;
            if (!hd_representation_parse(name, &representation, NULL))
                return wrong(&of_dataflow, name, "is no representation");
            if (!enter(&of_dataflow, name, &of_representation)) return false;
            if (!read_model(&of_representation, &table->models[dataflow][representation])) return false;
            count++;
        }
    }
    return count > 0 || wrong(root, "models", "at least one model is needed");
}

static bool read_assumed_activations(const place *root, hd_energy_table *t) {
    place a;
    return enter(root, "assumed_activations", &a) &&
           read_text(&a, "description", t->assumed_activations, sizeof t->assumed_activations) &&
           read_number(&a, "mean_popcount", 0, HD_MAXIMUM_BITS, &t->assumed_activation_popcount) &&
           read_number(&a, "zero_fraction", 0, 1, &t->assumed_activation_zero_fraction);
}

static bool read_table(const place *root, hd_energy_table *t) {
    char format[64];
    double version;
    if (!read_text(root, "format", format, sizeof format)) return false;
    if (strcmp(format, "hdloss-energy-table") != 0)
        return wrong(root, "format", "\"hdloss-energy-table\" is needed");
    const json_t *provisional = json_object_get(root->object, "provisional");
    if (provisional && !json_is_boolean(provisional))
        return wrong(root, "provisional", "true or false is needed");
    t->provisional = json_is_true(provisional);
    return read_number(root, "version", 1, 1, &version) && read_text(root, "name", t->name, sizeof t->name) &&
           read_text(root, "origin", t->origin, sizeof t->origin) &&
           read_text(root, "process", t->process, sizeof t->process) &&
           read_text_list(root, "tools", t->tools, sizeof t->tools) &&
           read_text_table(root, "units", t->units, sizeof t->units) &&
           read_text_table(root, "residuals", t->residuals, sizeof t->residuals) &&
           read_number(root, "voltage_v", 0, 1000, &t->voltage_v) &&
           read_number(root, "clock_mhz", 0, 1e6, &t->clock_mhz) &&
           read_number(root, "temperature_c", -273, 1000, &t->temperature_c) &&
           read_assumed_activations(root, t) && read_models(root, t);
}

bool hd_energy_table_parse(const char *text, size_t bytes, const char *name, hd_energy_table *table,
                           hd_error *error) {
    *table = (hd_energy_table){0};
    json_error_t mistake;
    json_t *json = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &mistake);
    if (!json) return hd_fail(error, "%s:%d: not JSON: %s", name, mistake.line, mistake.text);
    place root = {.file = name, .object = json, .error = error};
    bool good = json_is_object(json) || hd_fail(error, "%s: an object {...} is needed", name);
    good = good && read_table(&root, table);
    json_decref(json);
    if (!good) *table = (hd_energy_table){0};
    return good;
}
