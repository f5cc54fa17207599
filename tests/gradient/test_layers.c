/* Gradients of every layer type by finite differences: along a random direction in each parameter array, the
 * loss must change as the backward pass says. Batch norm in its exact form, smooth activations where a kink
 * would blur the difference. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "finite_difference.h"

#define NET "[net]\nbatch=4\nheight=6\nwidth=5\nchannels=3\nbn=exact\n"
#define CONV "[convolutional]\nfilters=6\nsize=3\npad=1\nactivation=tanh\n"
#define HEAD "[connected]\noutput=5\nactivation=linear\n[softmax]\n"

static void convolution(void **state) {
    (void)state;
    finite_difference_check(NET
                            "[convolutional]\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=swish\n" HEAD);
    finite_difference_check(NET
                            "[convolutional]\nfilters=6\nsize=3\npad=1\ngroups=3\nactivation=mish\n" HEAD);
    finite_difference_check(NET "[convolutional]\nfilters=6\nsize=2\ndilation=2\nactivation=logistic\n" HEAD);
    finite_difference_check(NET "[convolutional]\nfilters=7\nsize=1\nactivation=tanh\n" CONV HEAD);
    finite_difference_check(
        NET CONV "[convolutional]\nfilters=6\ngroups=6\nsize=3\npad=1\nstride=2\nactivation=tanh\n" HEAD);
}

static void normalised_convolution(void **state) {
    (void)state;
    finite_difference_check(NET CONV
                            "[convolutional]\nbatch_normalize=1\nfilters=6\nsize=1\nactivation=swish\n" HEAD);
    finite_difference_check(
        NET CONV
        "[convolutional]\nbatch_normalize=1\nfilters=6\ngroups=6\nsize=3\npad=1\nactivation=mish\n" HEAD);
    finite_difference_check(
        NET "[convolutional]\nbatch_normalize=1\nfilters=5\nsize=3\nactivation=tanh\n"
            "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=1\nactivation=linear\n" HEAD);
}

static void connected(void **state) {
    (void)state;
    finite_difference_check(NET "[connected]\noutput=7\nactivation=tanh\n" HEAD);
    finite_difference_check(NET CONV "[connected]\noutput=7\nbatch_normalize=1\nactivation=logistic\n" HEAD);
}

static void pools(void **state) {
    (void)state;
    finite_difference_check(NET CONV "[maxpool]\nsize=2\nstride=2\n" CONV HEAD);
    finite_difference_check(NET CONV "[maxpool]\nsize=3\nstride=1\n" HEAD);
    finite_difference_check(NET CONV "[avgpool]\n" HEAD);
}

static void dropout(void **state) {
    (void)state;
    finite_difference_check(NET CONV "[dropout]\nprobability=.4\n" CONV "[dropout]\nprobability=.2\n" HEAD);
}

static void shortcut(void **state) {
    (void)state;
    finite_difference_check(NET CONV CONV "[shortcut]\nfrom=-2\nactivation=linear\n" CONV
                                          "[shortcut]\nfrom=-2\n" HEAD);
    finite_difference_check(NET CONV CONV "[shortcut]\nfrom=-2\nactivation=swish\n" CONV HEAD);
    finite_difference_check(NET CONV CONV "[shortcut]\nfrom=-2\nalpha=.5\nbeta=2\nactivation=tanh\n" HEAD);
    finite_difference_check(NET CONV CONV CONV "[shortcut]\nfrom=-2,-3\n" CONV HEAD);
    /* the input is read by more than the sum, and the sum by two layers */
    finite_difference_check(NET CONV CONV "[shortcut]\nfrom=-2\n" CONV
                                          "[shortcut]\nfrom=-3\n[shortcut]\nfrom=-3\n" HEAD);
}

static void shortcut_of_other_shape(void **state) {
    (void)state;
    const char *start = "[net]\nbatch=4\nheight=6\nwidth=6\nchannels=3\n" CONV;
    char text[2048];
    (void)snprintf(
        text, sizeof text, "%s%s", start,
        "[convolutional]\nfilters=9\nsize=3\nstride=2\npad=1\nactivation=tanh\n[shortcut]\nfrom=-2\n" CONV
            HEAD);
    finite_difference_check(text);
    (void)snprintf(text, sizeof text, "%s%s", start,
                   "[convolutional]\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=tanh\n"
                   "[route]\nlayers=-2\n[shortcut]\nfrom=-2\nalpha=.5\nactivation=tanh\n" HEAD);
    finite_difference_check(text);
}

static void route(void **state) {
    (void)state;
    finite_difference_check(
        NET CONV "[convolutional]\nfilters=4\nsize=1\nactivation=tanh\n[route]\nlayers=-1,-2\n" CONV HEAD);
    finite_difference_check(NET CONV "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n" CONV
                                     "[route]\nlayers=-1,0\n" HEAD);
}

static void separate_batchnorm_and_activation(void **state) {
    (void)state;
    finite_difference_check(NET CONV "[batchnorm]\n[activation]\nactivation=swish\n" CONV HEAD);
    finite_difference_check(NET CONV "[activation]\nactivation=tanh\n[batchnorm]\n" HEAD);
    finite_difference_check(NET CONV "[batchnorm]\n[maxpool]\nsize=2\nstride=2\n" HEAD);
}

static void costs(void **state) {
    (void)state;
    /* Darknet's delta of a squared error is half its gradient: the scale makes it whole */
    finite_difference_check(NET CONV
                            "[connected]\noutput=5\nactivation=logistic\n[cost]\ntype=sse\nscale=2\n");
}

static void inverted_residuals(void **state) {
    (void)state;
    const char *bottleneck =
        "[convolutional]\nbatch_normalize=1\nfilters=12\nsize=1\nactivation=swish\n"
        "[convolutional]\nbatch_normalize=1\nfilters=12\ngroups=12\nsize=3\npad=1\nactivation=swish\n"
        "[convolutional]\nbatch_normalize=1\nfilters=6\nsize=1\nactivation=linear\n[shortcut]\nfrom=-4\n";
    char text[4096];
    (void)snprintf(text, sizeof text,
                   NET
                   "[convolutional]\nbatch_normalize=1\nfilters=6\nsize=3\npad=1\nactivation=linear\n%s%s%s",
                   bottleneck, bottleneck, "[avgpool]\n" HEAD);
    finite_difference_check(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolution),
        cmocka_unit_test(normalised_convolution),
        cmocka_unit_test(connected),
        cmocka_unit_test(pools),
        cmocka_unit_test(dropout),
        cmocka_unit_test(shortcut),
        cmocka_unit_test(shortcut_of_other_shape),
        cmocka_unit_test(route),
        cmocka_unit_test(separate_batchnorm_and_activation),
        cmocka_unit_test(costs),
        cmocka_unit_test(inverted_residuals),
    };
    return cmocka_run_group_tests_name("layers' gradients", tests, NULL, NULL);
}
