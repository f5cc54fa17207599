/* A small cfg of each family that Darknet's users run, against the plain reference network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "against_reference.h"
#include "families.h"

static const family_options with_chance = {.divisor = 16,
                                           .batch = 4,
                                           .subdivisions = 1,
                                           .classes = 10,
                                           .random = true},
                            without = {.divisor = 16, .batch = 4, .subdivisions = 1, .classes = 10};

static void inference(void **state) {
    (void)state;
    for (size_t i = 0; i < family_count(); i++) {
        char *text = family_text(i, &with_chance);
        compare_inference(text, 1, (unsigned)i + 1);
        free(text);
    }
}

/* Rounding decides where a value lies close to a kink: seeds at which none that matters does.
 * EfficientNet-lite3 has none such here: where a channel of relu6 is nearly dead on all images of a small
 * batch, Darknet's normalisation multiplies its rounding by up to a million. Its layers' gradients are
 * compared in efficientnet-b0 and, with relu6, in test_reference_layers.c. */
static const struct {
    const char *family;
    unsigned seed; /* 0: inference only */
} chosen[] = {{"resnet152", 3}, {"resnext50", 3}, {"resnext152", 2}, {"efficientnet-lite3", 0}};

static unsigned seed_of(size_t family) {
    if (!family_trains(family)) return 0;
    for (size_t k = 0; k < sizeof chosen / sizeof *chosen; k++)
        if (strcmp(family_name(family), chosen[k].family) == 0) return chosen[k].seed;
    return 1;
}

static void training(void **state) {
    (void)state;
    for (size_t i = 0; i < family_count(); i++) {
        unsigned seed = seed_of(i);
        if (!seed) continue;
        char *text = family_text(i, &without);
        compare_training(text, seed);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(inference), cmocka_unit_test(training)};
    return cmocka_run_group_tests_name("families against the reference network", tests, NULL, NULL);
}
