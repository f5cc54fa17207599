/* The names that cfg, JSON and CSV files use for dataflows, representations, encodings, orders and
 * surrogates. */
#include <stdio.h>
#include <string.h>

#include "hdloss.h"

static const char *const dataflows[] = {"input_stationary", "output_stationary", "weight_stationary"};
static const char *const representations[] = {"twos_complement", "sign_magnitude"};
static const char *const encodings[] = {"none", "bus_invert"};
static const char *const kernel_orders[] = {"each", "shared"};
static const char *const surrogates[] = {"expected", "linear"};

_Static_assert(sizeof dataflows / sizeof *dataflows == HD_DATAFLOW_COUNT, "a name for each dataflow");
_Static_assert(sizeof representations / sizeof *representations == HD_REPRESENTATION_COUNT,
               "for each representation");
_Static_assert(sizeof encodings / sizeof *encodings == HD_ENCODING_COUNT, "a name for each encoding");
_Static_assert(sizeof kernel_orders / sizeof *kernel_orders == HD_KERNEL_ORDERS_COUNT, "a name for each");
_Static_assert(sizeof surrogates / sizeof *surrogates == HD_SURROGATE_COUNT, "a name for each surrogate");

static const char *name_at(const char *const *names, int count, int value) {
    return value >= 0 && value < count ? names[value] : "unknown";
}

static bool parse(const char *what, const char *const *names, int count, const char *name, int *value,
                  hd_error *error) {
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) {
            *value = i;
            return true;
        }
    char known[256] = "";
    for (int i = 0; i < count; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? (i == count - 1 ? " or " : ", ") : "",
                 names[i]);
    }
    return hd_fail(error, "\"%.64s\" is no %s: one of %s is", name, what, known);
}

/* NOLINTBEGIN(bugprone-macro-parentheses): a type cannot stand in parentheses there */
#define DEFINE_NAMES(type, what, names, count)                                                               \
    const char *type##_name(type value) {                                                                    \
        return name_at(names, count, (int)value);                                                            \
    }                                                                                                        \
    bool type##_parse(const char *name, type *value, hd_error *error) {                                      \
        int found = 0;                                                                                       \
        if (!parse(what, names, count, name, &found, error)) return false;                                   \
        *value = (type)found;                                                                                \
        return true;                                                                                         \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

DEFINE_NAMES(hd_dataflow, "dataflow", dataflows, HD_DATAFLOW_COUNT)
DEFINE_NAMES(hd_representation, "representation", representations, HD_REPRESENTATION_COUNT)
DEFINE_NAMES(hd_encoding, "encoding", encodings, HD_ENCODING_COUNT)
DEFINE_NAMES(hd_kernel_orders, "choice of kernel orders", kernel_orders, HD_KERNEL_ORDERS_COUNT)
DEFINE_NAMES(hd_surrogate, "surrogate", surrogates, HD_SURROGATE_COUNT)
