/* Gradients, by finite differences, of the layer types and keys that Darknet's two lines have beyond the
 * common ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "finite_difference.h"

#define check finite_difference_check
#define NET "[net]\nbatch=4\nheight=6\nwidth=4\nchannels=3\nbn=exact\n"
#define CONV "[convolutional]\nfilters=8\nsize=3\npad=1\nactivation=tanh\n"
#define HEAD "[connected]\noutput=5\nactivation=linear\n[softmax]\n"

static void local(void **state) {
    (void)state;
    check(NET "[local]\nfilters=4\nsize=3\nstride=1\npad=1\nactivation=swish\n" CONV HEAD);
    check(NET CONV "[local]\nfilters=5\nsize=2\nstride=2\nactivation=logistic\n" HEAD);
    /* positions fill several tasks, and the last of them partly */
    check("[net]\nbatch=4\nheight=5\nwidth=7\nchannels=3\n" CONV
          "[local]\nfilters=3\nsize=3\nactivation=tanh\n" HEAD);
}

static void deconvolution(void **state) {
    (void)state;
    check(NET CONV "[deconvolutional]\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=tanh\n" HEAD);
    check(NET CONV "[deconvolutional]\nfilters=3\nsize=2\nstride=2\nactivation=swish\n" CONV HEAD);
    check(
        NET CONV
        "[deconvolutional]\nbatch_normalize=1\nfilters=4\nsize=4\nstride=2\npadding=1\nactivation=mish\n" CONV
            HEAD);
    check(NET CONV "[deconvolutional]\nbatch_normalize=1\nfilters=4\nsize=1\nstride=3\nactivation=linear\n["
                   "maxpool]\nsize=2\nstride=2\n" HEAD);
}

static void resampling(void **state) {
    (void)state;
    check(NET CONV "[upsample]\nstride=2\n" CONV HEAD);
    check(NET CONV "[upsample]\nstride=3\nscale=.4\n" HEAD);
    check(NET CONV "[upsample]\nstride=-2\nscale=.25\n" CONV HEAD);
    check(NET CONV "[local_avgpool]\nsize=3\nstride=2\n" CONV HEAD);
    check(NET CONV "[local_avgpool]\nsize=2\nstride_x=1\nstride_y=2\npadding=0\n" HEAD);
    check(NET CONV "[maxpool]\nmaxpool_depth=1\nout_channels=3\n" CONV HEAD);
}

static void reordering(void **state) {
    (void)state;
    check(NET CONV "[reorg]\nstride=2\n" CONV HEAD);
    check(NET CONV "[reorg]\nstride=2\nreverse=1\n" CONV HEAD);
    check(NET CONV "[reorg3d]\nstride=2\n" CONV HEAD);
    check(NET CONV "[reorg3d]\nstride=2\nreverse=1\n" CONV HEAD);
    check(NET CONV "[reorg]\nflatten=1\n" CONV HEAD);
    check(NET CONV "[reorg]\nflatten=1\nreverse=1\n" CONV HEAD);
    check(NET CONV "[reorg]\nextra=2\n[connected]\noutput=6\nactivation=tanh\n" HEAD);
    check(NET CONV "[convolutional]\nfilters=4\nsize=1\nactivation=linear\n[reorg]\nextra=1\n[softmax]\n");
}

static void crop(void **state) {
    (void)state;
    check(NET CONV "[crop]\ncrop_height=4\ncrop_width=3\nflip=1\n" CONV HEAD);
    check(NET CONV "[crop]\ncrop_height=4\ncrop_width=3\nangle=20\nnoadjust=1\n" CONV HEAD);
    check(NET
          "[crop]\ncrop_height=4\ncrop_width=3\nflip=1\nsaturation=1.5\nexposure=1.4\nshift=.2\n" CONV HEAD);
}

static void normalizations(void **state) {
    (void)state;
    check(NET CONV "[normalization]\nsize=3\nalpha=.5\nbeta=.75\nkappa=1\n" CONV HEAD);
    check(NET CONV "[normalization]\nsize=4\nalpha=.3\nbeta=.5\nkappa=2\n" HEAD);
    check(NET CONV "[lrn]\nsize=99\nalpha=.1\n" HEAD);
    check(NET CONV "[l2norm]\n" CONV HEAD);
}

static void products(void **state) {
    (void)state;
    check(NET CONV "[avgpool]\n[convolutional]\nfilters=3\nsize=1\nactivation=swish\n[convolutional]"
                   "\nfilters=8\nsize=1\nactivation=logistic\n"
                   "[scale_channels]\nfrom=-4\n" CONV HEAD);
    check(NET CONV "[avgpool]\n[convolutional]\nfilters=8\nsize=1\nactivation=logistic\n"
                   "[scale_channels]\nfrom=-3\nactivation=tanh\n[shortcut]\nfrom=-4\n" HEAD);
    check(NET CONV "[convolutional]\nfilters=1\nsize=3\npad=1\nactivation=logistic\n[scale_channels]\nfrom=-"
                   "2\nscale_wh=1\nactivation=swish\n" HEAD);
    check(NET CONV CONV "[sam]\nfrom=-2\n" CONV HEAD);
    check(NET CONV "[sam]\nfrom=-1\nactivation=tanh\n" HEAD);
}

static void weighted_shortcuts(void **state) {
    (void)state;
    check(NET CONV CONV CONV "[shortcut]\nfrom=-2,-3\nweights_type=per_layer\n" CONV HEAD);
    check(NET CONV CONV CONV "[shortcut]\nfrom=-2,-3\nweights_type=per_channel\nactivation=tanh\n" CONV HEAD);
    check(NET CONV CONV CONV "[shortcut]\nfrom=-2,-3\nweights_type=per_feature\nweights_normalization="
                             "relu\nactivation=swish\n" HEAD);
    check(NET CONV CONV CONV
          "[shortcut]\nfrom=-2,-3\nweights_type=per_channel\nweights_normalization=softmax\n" HEAD);
    check(NET CONV "[convolutional]\nfilters=5\nsize=1\nactivation=tanh\n[shortcut]\nfrom=-2\nweights_type="
                   "per_channel\n" CONV HEAD);
    check(NET "[convolutional]\nfilters=5\nsize=1\nactivation=tanh\n" CONV
              "[shortcut]\nfrom=-2\nweights_type=per_channel\n" CONV HEAD);
}

static void antialiasing(void **state) {
    (void)state;
    check(NET
          "[convolutional]\nfilters=8\nsize=3\npad=1\nstride=2\nactivation=tanh\nantialiasing=1\n" CONV HEAD);
    check(NET CONV "[convolutional]\nbatch_normalize=1\nfilters=6\nsize=3\npad=1\nstride=2\nactivation="
                   "swish\nantialiasing=2\n" HEAD);
    check(NET CONV "[maxpool]\nsize=3\nstride=2\nantialiasing=1\n" CONV HEAD);
    check(
        NET CONV
        "[convolutional]\nfilters=6\nsize=1\nstride=2\nactivation=normalize_channels\nantialiasing=1\n" HEAD);
}

static void channel_normalization(void **state) {
    (void)state;
    /* of positive values: the kink at 0 would blur the difference */
    check(NET "[convolutional]\nfilters=8\nsize=3\npad=1\nactivation=logistic\n[activation]\nactivation="
              "normalize_channels\n" CONV HEAD);
}

static void shared_parameters(void **state) {
    (void)state;
    check(NET CONV CONV "[convolutional]\nshare_index=1\nfilters=8\nsize=3\npad=1\nactivation=swish\n" HEAD);
    check(NET CONV "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=swish\n"
                   "[convolutional]\nshare_index=-1\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation="
                   "tanh\n" HEAD);
}

/* Signs have no slope: what is before a layer of binary weights is a derivative, and its own biases. */
static void binary_weights(void **state) {
    (void)state;
    finite_difference_check_except(
        NET CONV "[convolutional]\nbinary=1\nfilters=6\nsize=3\npad=1\nactivation=tanh\n" CONV HEAD, 1);
}

static void losses(void **state) {
    (void)state;
    check(NET CONV "[connected]\noutput=5\nactivation=linear\n[logistic]\n");
    /* Darknet's delta of a squared error is half its gradient: the scale makes it whole */
    check(NET CONV "[connected]\noutput=5\nactivation=logistic\n[cost]\ntype=seg\nnoobj=.3\nscale=2\n");
    check(NET CONV "[connected]\noutput=5\nactivation=tanh\n[cost]\ntype=smooth\nscale=2\n");
    check(NET CONV "[connected]\noutput=5\nactivation=tanh\n[cost]\ntype=L1\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local),
        cmocka_unit_test(deconvolution),
        cmocka_unit_test(resampling),
        cmocka_unit_test(reordering),
        cmocka_unit_test(crop),
        cmocka_unit_test(normalizations),
        cmocka_unit_test(products),
        cmocka_unit_test(weighted_shortcuts),
        cmocka_unit_test(antialiasing),
        cmocka_unit_test(channel_normalization),
        cmocka_unit_test(shared_parameters),
        cmocka_unit_test(binary_weights),
        cmocka_unit_test(losses),
    };
    return cmocka_run_group_tests_name("Darknet's further layers' gradients", tests, NULL, NULL);
}
