/* A small cfg of each family that Darknet's users run, against the plain reference network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
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

/* The cfg with its kinked activations made smooth. Where a value lies close to a kink, rounding decides on
 * which side, and deep networks carry that far beyond any tolerance; the kinked activations' own steps are
 * compared layer by layer in test_reference_layers.c. The caller frees it. */
static char *smoothed(const char *text) {
    static const char key[] = "activation=", *const kinked[] = {"relu6", "relu", "leaky"}, smooth[] = "swish";
    char *made = calloc(1, 2 * strlen(text) + 1), *out = made;
    assert_non_null(made);
    for (const char *in = text; *in;) {
        const char *last = in - (sizeof key - 1);
        bool after_key = last >= text && strncmp(last, key, sizeof key - 1) == 0;
        size_t skipped = 0;
        for (int k = 0; after_key && !skipped && k < 3; k++)
            if (strncmp(in, kinked[k], strlen(kinked[k])) == 0) skipped = strlen(kinked[k]);
        if (skipped) {
            memcpy(out, smooth, sizeof smooth - 1);
            out += sizeof smooth - 1;
            in += skipped;
        } else {
            *out++ = *in++;
        }
    }
    return made;
}

/* Beyond a hundred layers a fresh network with four images a batch is chaotic: rounding grows a thousandfold
 * in one step. These families' blocks are those of their smaller ones, which are trained here. */
static bool is_too_deep(const char *family) {
    return strstr(family, "101") || strstr(family, "152");
}

static void training(void **state) {
    (void)state;
    for (size_t i = 0; i < family_count(); i++) {
        if (!family_trains(i) || is_too_deep(family_name(i))) continue;
        char *text = family_text(i, &without), *smooth = smoothed(text);
        compare_training(smooth, 1);
        free(smooth);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(inference), cmocka_unit_test(training)};
    return cmocka_run_group_tests_name("families against the reference network", tests, NULL, NULL);
}
