/* Every layer type and key against the plain reference network: outputs of every layer and two updates, in
 * the three forms of batch normalisation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "against_reference.h"

#define NET                                                                                                  \
    "[net]\nbatch=4\nsubdivisions=2\nheight=6\nwidth=8\nchannels=3\nlearning_rate=.01\nmomentum=.9\ndecay=." \
    "01\n"
#define CONV "[convolutional]\nfilters=8\nsize=3\npad=1\nactivation=tanh\n"
#define BN "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=swish\n"
#define HEAD "[connected]\noutput=5\nactivation=linear\n[softmax]\n"
#define SEED 2 /* at which no value comes so close to a kink that rounding decides */
#define check(text) compare_all(text, SEED)

/* In a convolution, which fuses it, and in a layer of its own. */
static void compare_activation(const char *name, unsigned seed) {
    char text[1024];
    (void)snprintf(
        text, sizeof text,
        NET "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=%s\n"
            "[convolutional]\nfilters=6\nsize=1\nactivation=linear\n[activation]\nactivation=%s\n" HEAD,
        name, name);
    compare_all(text, seed + 300);
}

static void compare_cost(const char *type, unsigned seed) {
    char text[1024];
    (void)snprintf(text, sizeof text,
                   NET BN "[connected]\noutput=6\nactivation=leaky\n[cost]\ntype=%s\nscale=.7\n", type);
    compare_all(text, seed + 200 * SEED);
}

static void convolution(void **state) {
    (void)state;
    check(NET CONV BN HEAD);
    check(NET BN "[convolutional]\nfilters=6\nsize=5\nstride=2\npadding=1\nactivation=relu\n" HEAD);
    check(NET BN "[convolutional]\nbatch_normalize=1\nfilters=6\nsize=1\nstride=2\nactivation=elu\n" HEAD);
    check(NET BN "[convolutional]\nbatch_normalize=1\nfilters=4\ngroups=2\nsize=3\nstride=2\npad="
                 "1\nactivation=swish\n" HEAD);
    check(NET BN
          "[convolutional]\nbatch_normalize=1\nfilters=8\ngroups=8\nsize=5\npad=1\nactivation=mish\n" HEAD);
    check(NET BN "[convolutional]\nfilters=5\nsize=3\nstride_x=2\nstride_y=1\npad=1\nactivation=selu\n" HEAD);
    check(NET BN "[convolutional]\nfilters=5\nsize=3\nstride=2\nstride_y=3\npad=1\nactivation=selu\n" HEAD);
    check(
        NET BN
        "[convolutional]\nbatch_normalize=1\nfilters=5\nsize=3\ndilation=2\npad=1\nactivation=leaky\n" HEAD);
    check(NET BN "[convolutional]\nfilters=5\nsize=2\ndilation=3\npadding=1\nactivation=leaky\n" HEAD);
    check(NET BN "[convolutional]\nfilters=5\nsize=1\ndilation=3\npad=1\nactivation=leaky\n" HEAD);
    /* no activation named: logistic */
    check(NET BN "[convolutional]\nfilters=7\nsize=2\n[connected]\noutput=4\n[softmax]\n");
}

static void convolution_keys(void **state) {
    (void)state;
    check(NET BN "[convolutional]\nflipped=1\nfilters=5\nsize=3\npad=1\nactivation=leaky\n" HEAD);
    check(NET BN
          "[convolutional]\nbinary=1\nbatch_normalize=1\nfilters=5\nsize=3\npad=1\nactivation=leaky\n" HEAD);
    check(NET BN "[convolutional]\nxnor=1\nfilters=5\nsize=3\npad=1\nactivation=leaky\n" HEAD);
    check(NET BN BN
          "[convolutional]\nshare_index=-1\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=swish\n"
          "[convolutional]\nfilters=8\nsize=3\npad=1\nactivation=linear\n"
          "[convolutional]\nshare_index=3\nfilters=8\nsize=3\npad=1\nactivation=leaky\n" HEAD);
    check(NET BN "[convolutional]\nantialiasing=1\nbatch_normalize=1\nfilters=5\nsize=3\nstride=2\npad="
                 "1\nactivation=leaky\n" HEAD);
    check(NET BN
          "[convolutional]\nantialiasing=2\nfilters=5\nsize=3\nstride=2\npad=1\nactivation=tanh\n" HEAD);
    check(
        NET BN
        "[convolutional]\nbatch_normalize=1\nfilters=5\nsize=3\npad=1\nactivation=normalize_channels\n" HEAD);
}

static void connected_and_local(void **state) {
    (void)state;
    /* enough images for its moments */
    check("[net]\nbatch=24\nheight=4\nwidth=4\nchannels=3\nlearning_rate=.05\n" BN
          "[connected]\nbatch_normalize=1\noutput=9\nactivation=leaky\n" HEAD);
    check("[net]\nbatch=6\ninputs=11\nlearning_rate=.05\n[connected]\noutput=9\nactivation=loggy\n" HEAD);
    check(NET "[local]\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=leaky\n" HEAD);
    check(NET BN "[local]\nfilters=3\nsize=2\nstride=1\nactivation=logistic\n" BN HEAD);
}

static void deconvolution(void **state) {
    (void)state;
    check(NET BN "[deconvolutional]\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=leaky\n" HEAD);
    check(NET BN
          "[deconvolutional]\nbatch_normalize=1\nfilters=4\nsize=4\nstride=2\npadding=1\nactivation=relu\n" BN
              HEAD);
}

static void pools(void **state) {
    (void)state;
    check(NET BN "[maxpool]\nsize=2\nstride=2\n" HEAD);
    check(NET BN "[maxpool]\nsize=3\nstride=2\npadding=0\n" HEAD);
    check(NET BN "[maxpool]\nsize=3\nstride=2\n" HEAD);
    check(NET BN "[maxpool]\nsize=2\nstride=1\n" HEAD);
    check(NET BN "[maxpool]\nstride=3\n" HEAD);
    check(NET BN "[maxpool]\nsize=5\nstride=1\npadding=3\n" HEAD);
    check(NET BN "[maxpool]\nmaxpool_depth=1\nout_channels=3\n" HEAD);
    check(NET BN "[maxpool]\nsize=3\nstride=2\nantialiasing=1\n" HEAD);
    check(NET BN "[avgpool]\n" HEAD);
    check(NET BN "[avgpool]\n[softmax]\n");
    check(NET BN "[local_avgpool]\nsize=3\nstride=2\n" HEAD);
    check(NET BN "[local_avgpool]\nsize=2\nstride=2\npadding=0\n" HEAD);
}

static void shortcuts(void **state) {
    (void)state;
    check(NET BN BN BN "[shortcut]\nfrom=-3\nactivation=leaky\n" HEAD);
    check(NET BN BN "[shortcut]\nfrom=0\nalpha=.5\nbeta=1.5\nactivation=relu\n" BN HEAD);
    /* the widths of a residual network's stages: fewer channels, half the image */
    check(NET BN "[convolutional]\nbatch_normalize=1\nfilters=12\nsize=1\nactivation=linear\n[shortcut]"
                 "\nfrom=-2\nactivation=leaky\n" HEAD);
    check(NET BN
          "[convolutional]\nbatch_normalize=1\nfilters=12\nsize=3\nstride=2\npad=1\nactivation=linear\n"
          "[shortcut]\nfrom=-2\nactivation=leaky\n" BN HEAD);
    check(NET BN "[convolutional]\nbatch_normalize=1\nfilters=5\nsize=3\nstride=2\npad=1\nactivation=linear\n"
                 "[upsample]\nstride=2\n[shortcut]\nfrom=-2\nactivation=leaky\n" HEAD);
    check(NET BN "[convolutional]\nfilters=5\nsize=3\nstride=2\npad=1\nactivation=linear\n[route]\nlayers=0\n"
                 "[shortcut]\nfrom=-2\nactivation=linear\n" HEAD);
    check(NET BN BN BN "[shortcut]\nfrom=-2,-3\nactivation=linear\n" HEAD);
    check(NET BN BN BN "[shortcut]\nfrom=-2,-3\nweights_type=per_layer\nactivation=linear\n" HEAD);
    check(NET BN BN BN "[shortcut]\nfrom=-2,-3\nweights_type=per_channel\nactivation=leaky\n" HEAD);
    check(NET BN BN BN
          "[shortcut]\nfrom=-2,-3\nweights_type=per_channel\nweights_normalization=softmax\n" HEAD);
    check(NET BN BN BN "[shortcut]\nfrom=-2,-3\nweights_type=per_feature\nweights_normalization=relu\n" HEAD);
}

static void routes(void **state) {
    (void)state;
    check(NET BN BN "[route]\nlayers = -1, -2\n" BN "[route]\nlayers=-1,-3\n" HEAD);
    check(NET BN
          "[convolutional]\nfilters=4\nsize=1\nactivation=leaky\n[route]\nlayers=0\ngroups=2\ngroup_id=1\n" BN
          "[route]\nlayers=-1,1\n" HEAD);
    check(NET BN BN "[route]\nlayers=0,1\ngroups=2\ngroup_id=0\n" HEAD);
}

static void reordering(void **state) {
    (void)state;
    check(NET BN "[upsample]\nstride=2\nscale=.5\n" HEAD);
    check(NET BN "[upsample]\nstride=-2\n" HEAD);
    check(NET BN "[reorg]\nstride=2\n" BN HEAD);
    check(NET BN "[reorg]\nstride=2\nreverse=1\n" BN HEAD);
    check(NET BN "[reorg3d]\nstride=2\n" BN HEAD);
    check(NET BN "[reorg3d]\nstride=2\nreverse=1\n" BN HEAD);
    check(NET BN "[reorg]\nflatten=1\n" BN HEAD);
    check(NET BN "[reorg]\nflatten=1\nreverse=1\n" BN HEAD);
    check(NET BN
          "[convolutional]\nfilters=1\nsize=1\nactivation=linear\n[reorg]\nextra=1\nstride=1\n[softmax]\n");
}

static void crops(void **state) {
    (void)state;
    compare_inference(
        NET
        "[crop]\ncrop_height=3\ncrop_width=4\nflip=1\nangle=10\nsaturation=1.5\nexposure=1.5\nshift=.2\n" BN
            HEAD,
        2, 1);
    compare_inference(NET "[crop]\ncrop_height=5\ncrop_width=5\nnoadjust=1\n" BN HEAD, 2, 2);
    check(NET "[crop]\ncrop_height=6\ncrop_width=8\nflip=0\nangle=0\nsaturation=1\nexposure=1\n" BN HEAD);
}

static void normalizations(void **state) {
    (void)state;
    compare_inference(NET BN "[normalization]\n" HEAD, 3, 3);
    compare_inference(NET BN "[normalization]\nalpha=.2\nbeta=.6\nkappa=5\nsize=4\n" BN HEAD, 3, 4);
    compare_inference(NET "bn=exact\n" BN "[normalization]\nalpha=.2\nkappa=5\nsize=4\n" BN HEAD, 3, 5);
    compare_training(NET BN "[normalization]\nalpha=.2\nkappa=5\nsize=3\n" BN HEAD, 6);
    check(NET CONV "[batchnorm]\n" BN HEAD);
    check(NET CONV "[batchnorm]\n[activation]\nactivation=leaky\n[maxpool]\nsize=2\nstride=2\n" HEAD);
    check(NET BN "[l2norm]\n" BN HEAD);
}

static void products(void **state) {
    (void)state;
    check(NET BN BN "[avgpool]\n[convolutional]\nfilters=2\nsize=1\nactivation=swish\n[convolutional]"
                    "\nfilters=8\nsize=1\n"
                    "activation=logistic\n[scale_channels]\nfrom=-4\n" BN HEAD);
    check(NET BN "[convolutional]\nfilters=1\nsize=3\npad=1\nactivation=logistic\n[scale_channels]\nfrom=-"
                 "2\nscale_wh=1\n"
                 "activation=leaky\n" HEAD);
    check(NET BN BN "[sam]\nfrom=-2\nactivation=swish\n" HEAD);
}

static void activations(void **state) {
    (void)state;
    static const char *const names[] = {"logistic", "relu",   "relu6",     "elu",   "selu",
                                        "relie",    "linear", "ramp",      "leaky", "tanh",
                                        "plse",     "stair",  "hardtan",   "lhtan", "loggy",
                                        "swish",    "mish",   "hard_mish", "gelu",  "normalize_channels"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) compare_activation(names[i], i);
}

static void dropouts(void **state) {
    (void)state;
    compare_inference(NET BN "[dropout]\nprobability=.4\n" BN "[dropout]\n" HEAD, 3, 8);
    check(NET BN "[dropout]\nprobability=0\n" BN "[dropout]\nprobability=.0\n[route]\nlayers=0,-1\n" HEAD);
}

static void losses(void **state) {
    (void)state;
    static const char *const types[] = {"sse", "masked", "smooth", "L1", "seg\nnoobj=.3", "wgan"};
    for (unsigned i = 0; i < sizeof types / sizeof *types; i++) compare_cost(types[i], i);
    check(NET BN HEAD "[cost]\ntype=sse\n");
    check(NET BN HEAD "[cost]\ntype=sse\nscale=.5\n");
    check(NET BN "[connected]\noutput=6\nactivation=linear\n[softmax]\ngroups=2\ntemperature=3\n");
    check(NET BN "[convolutional]\nfilters=6\nsize=1\nactivation=linear\n[softmax]\nspatial=1\n");
    check(NET BN "[convolutional]\nfilters=6\nsize=1\nactivation=linear\n[softmax]\ngroups=3\n");
    check(NET BN "[connected]\noutput=6\nactivation=linear\n[softmax]\nnoloss=1\n[cost]\ntype=sse\n");
    check(NET BN "[connected]\noutput=6\nactivation=linear\n[softmax]\nsmooth=.1\n");
    check(NET BN "[connected]\noutput=6\nactivation=linear\n[logistic]\n");
    check(NET BN "[connected]\noutput=6\nactivation=logistic\n[cost]\nsmooth=.2\n");
}

static void common_keys(void **state) {
    (void)state;
    check(NET BN BN "stopbackward=1\n" BN HEAD);
    check(NET BN BN "onlyforward=1\n[shortcut]\nfrom=-2\n" BN HEAD);
    check(NET BN "learning_rate=.3\n" BN "clip=.2\n" HEAD);
    check(NET "clip=.3\n" BN BN HEAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolution),
        cmocka_unit_test(convolution_keys),
        cmocka_unit_test(connected_and_local),
        cmocka_unit_test(deconvolution),
        cmocka_unit_test(pools),
        cmocka_unit_test(shortcuts),
        cmocka_unit_test(routes),
        cmocka_unit_test(reordering),
        cmocka_unit_test(crops),
        cmocka_unit_test(normalizations),
        cmocka_unit_test(products),
        cmocka_unit_test(activations),
        cmocka_unit_test(dropouts),
        cmocka_unit_test(losses),
        cmocka_unit_test(common_keys),
    };
    return cmocka_run_group_tests_name("layers against the reference network", tests, NULL, NULL);
}
