/* See families.h. */
#include "families.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct writer {
    char *text;
    size_t used, room;
    const family_options *o;
    const char *activation; /* of its convolutions */
    bool normalized;
} writer;

static void put(writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(writer *w, const char *format, ...) {
    va_list arguments;
    if (w->room - w->used < 1024) {
        w->room = w->room * 2 + 4096;
        w->text = realloc(w->text, w->room);
        assert_non_null(w->text);
    }
    va_start(arguments, format);
    w->used += (size_t)vsnprintf(w->text + w->used, w->room - w->used, format, arguments);
    va_end(arguments);
}

static int width(const writer *w, int channels) {
    int narrow = channels / w->o->divisor;
    return narrow < 4 ? 4 : narrow;
}

/* As [net] stands in the ImageNet cfgs. */
static void net(writer *w, int size, int channels) {
    put(w,
        "[net]\n# Training\nbatch=%d\nsubdivisions=%d\nheight=%d\nwidth=%d\nchannels=%d\nmomentum=0.9\n"
        "decay=0.0005\nmax_crop=%d\n\nlearning_rate=0.001\npolicy=poly\npower=4\nmax_batches=800000\n\n"
        "angle=7\nhue = .1\nsaturation=.75\nexposure=.75\naspect=.75\n",
        w->o->batch, w->o->subdivisions, size, size, channels, size + size / 7);
}

static void grouped(writer *w, int filters, int size, int stride, int groups, const char *activation) {
    put(w, "\n[convolutional]\n");
    if (w->normalized) put(w, "batch_normalize=1\n");
    put(w, "filters=%d\n", filters);
    if (groups > 1) put(w, "groups = %d\n", groups);
    put(w, "size=%d\nstride=%d\npad=1\nactivation=%s\n", size, stride, activation);
}

static void conv(writer *w, int filters, int size, int stride) {
    grouped(w, width(w, filters), size, stride, 1, w->activation);
}

static void linear(writer *w, int filters, int size) {
    grouped(w, width(w, filters), size, 1, 1, "linear");
}

static void pool(writer *w) {
    put(w, "\n[maxpool]\nsize=2\nstride=2\n");
}

static void dropout(writer *w, double probability) {
    put(w, "\n[dropout]\nprobability=%g\n", w->o->random ? probability : 0.0);
}

static void crop(writer *w, int size, const char *more) {
    put(w, "\n[crop]\ncrop_height=%d\ncrop_width=%d\nflip=%d\nangle=0\n%s", size, size, w->o->random, more);
}

static void connected(writer *w, int output, const char *activation) {
    put(w, "\n[connected]\noutput=%d\nactivation=%s\n", output, activation);
}

/* The usual end: one filter a class, averaged. */
static void classes(writer *w, const char *activation) {
    put(w,
        "\n[convolutional]\nfilters=%d\nsize=1\nstride=1\npad=1\nactivation=%s\n\n[avgpool]\n\n[softmax]"
        "\ngroups=1\n",
        w->o->classes, activation);
}

static int size_or(const writer *w, int usual) {
    return w->o->size ? w->o->size : usual;
}

/* ---- the families ---- */

static void alexnet(writer *w) {
    static const char pool3[] = "\n[maxpool]\nsize=3\nstride=2\npadding=0\n";
    w->activation = "relu";
    net(w, size_or(w, 67), 3);
    put(w, "\n[convolutional]\nfilters=%d\nsize=11\nstride=4\npad=0\nactivation=relu\n%s", width(w, 96),
        pool3);
    conv(w, 256, 5, 1);
    put(w, "%s", pool3);
    conv(w, 384, 3, 1);
    conv(w, 384, 3, 1);
    conv(w, 256, 3, 1);
    put(w, "%s", pool3);
    for (int i = 0; i < 2; i++) {
        connected(w, width(w, 4096), "relu");
        dropout(w, .5);
    }
    connected(w, w->o->classes, "linear");
    put(w, "\n[softmax]\ngroups=1\n");
}

static void vgg16(writer *w) {
    static const int filters[] = {64, 64,  0,   128, 128, 0,   256, 256, 256,
                                  0,  512, 512, 512, 0,   512, 512, 512, 0};
    int size = size_or(w, 32);
    w->activation = "relu";
    net(w, w->o->random ? size + size / 7 : size, 3);
    crop(w, size, "exposure=1\nsaturation=1\n");
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        if (filters[i])
            conv(w, filters[i], 3, 1);
        else
            pool(w);
    }
    for (int i = 0; i < 2; i++) {
        connected(w, width(w, 4096), "relu");
        dropout(w, .5);
    }
    connected(w, w->o->classes, "linear");
    put(w, "\n[softmax]\ngroups=1\n\n[cost]\ntype=sse\n");
}

/* Pairs of 1x1 and 3x3. */
static void pairs(writer *w, int count, int narrow, int wide) {
    for (int i = 0; i < count; i++) {
        conv(w, narrow, 1, 1);
        conv(w, wide, 3, 1);
    }
}

static void extraction(writer *w) {
    net(w, size_or(w, 64), 3);
    conv(w, 64, 7, 2);
    pool(w);
    conv(w, 192, 3, 1);
    pool(w);
    pairs(w, 1, 128, 256);
    pairs(w, 1, 256, 512);
    pool(w);
    pairs(w, 4, 256, 512);
    pairs(w, 1, 512, 1024);
    pool(w);
    pairs(w, 2, 512, 1024);
    classes(w, "leaky");
}

static void darknet19_layers(writer *w) {
    conv(w, 32, 3, 1);
    pool(w);
    conv(w, 64, 3, 1);
    pool(w);
    for (int i = 0, filters = 128; i < 4; i++, filters *= 2) {
        conv(w, filters, 3, 1);
        for (int k = 0; k < (i < 2 ? 1 : 2); k++) {
            conv(w, filters / 2, 1, 1);
            conv(w, filters, 3, 1);
        }
        if (i < 3) pool(w);
    }
    classes(w, "linear");
}

static void darknet19(writer *w) {
    net(w, size_or(w, 64), 3);
    darknet19_layers(w);
}

static void darknet19_448(writer *w) {
    int size = size_or(w, 96);
    net(w, size, 3);
    put(w, "min_crop=%d\nburn_in=2\n", size);
    darknet19_layers(w);
}

static void darknet53(writer *w) {
    static const int blocks[] = {1, 2, 8, 8, 4};
    net(w, size_or(w, 64), 3);
    conv(w, 32, 3, 1);
    for (int i = 0, filters = 64; i < 5; i++, filters *= 2) {
        conv(w, filters, 3, 2);
        for (int k = 0; k < blocks[i]; k++) {
            conv(w, filters / 2, 1, 1);
            conv(w, filters, 3, 1);
            put(w, "\n[shortcut]\nfrom=-3\nactivation=linear\n");
        }
    }
    classes(w, "linear");
}

/* Darknet's residual networks have no projections: where widths or sizes change, the overlap is added. */
static void residual(writer *w, const int blocks[4], bool bottleneck, int groups) {
    net(w, size_or(w, 64), 3);
    conv(w, 64, 7, 2);
    pool(w);
    for (int i = 0, filters = 64; i < 4; i++, filters *= 2)
        for (int k = 0; k < blocks[i]; k++) {
            int stride = i > 0 && k == 0 ? 2 : 1, inner = groups > 1 ? 2 * filters : filters;
            if (bottleneck) {
                conv(w, inner, 1, 1);
                grouped(w, width(w, inner), 3, stride, groups, w->activation);
                linear(w, 4 * filters, 1);
            } else {
                conv(w, filters, 3, stride);
                linear(w, filters, 3);
            }
            put(w, "\n[shortcut]\nfrom=%d\nactivation=leaky\n", bottleneck ? -4 : -3);
        }
    classes(w, "linear");
}

static const int blocks18[] = {2, 2, 2, 2}, blocks50[] = {3, 4, 6, 3}, blocks101[] = {3, 4, 23, 3},
                 blocks152[] = {3, 8, 36, 3};

static int cardinality(const writer *w) {
    return w->o->divisor > 8 ? 4 : 32 / w->o->divisor;
}

static void resnet18(writer *w) {
    residual(w, blocks18, false, 1);
}
static void resnet34(writer *w) {
    residual(w, blocks50, false, 1);
}
static void resnet50(writer *w) {
    residual(w, blocks50, true, 1);
}
static void resnet101(writer *w) {
    residual(w, blocks101, true, 1);
}
static void resnet152(writer *w) {
    residual(w, blocks152, true, 1);
}
static void resnext50(writer *w) {
    residual(w, blocks50, true, cardinality(w));
}
static void resnext101(writer *w) {
    residual(w, blocks101, true, cardinality(w));
}
static void resnext152(writer *w) {
    residual(w, blocks152, true, cardinality(w));
}

static void densenet201(writer *w) {
    static const int blocks[] = {6, 12, 48, 32};
    int channels = 64;
    net(w, size_or(w, 64), 3);
    conv(w, 64, 7, 2);
    pool(w);
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < blocks[i]; k++, channels += 32) {
            conv(w, 128, 1, 1);
            conv(w, 32, 3, 1);
            put(w, "\n[route]\nlayers=-1,-3\n");
        }
        if (i == 3) break;
        channels /= 2;
        conv(w, channels, 1, 1);
        pool(w);
    }
    classes(w, "linear");
}

static void darknet_reference(writer *w) {
    net(w, size_or(w, 64), 3);
    for (int filters = 16; filters <= 1024; filters *= 2) {
        conv(w, filters, 3, 1);
        if (filters < 1024) put(w, "\n[maxpool]\nsize=2\nstride=2\n%s", filters == 512 ? "padding=1\n" : "");
    }
    classes(w, "linear");
    put(w, "\n[cost]\ntype=sse\n");
}

static void tiny(writer *w) {
    net(w, size_or(w, 64), 3);
    conv(w, 16, 3, 1);
    pool(w);
    conv(w, 32, 3, 1);
    pool(w);
    pairs(w, 2, 16, 128);
    pool(w);
    pairs(w, 2, 32, 256);
    pool(w);
    pairs(w, 2, 64, 512);
    conv(w, 128, 1, 1);
    classes(w, "linear");
}

static void cifar(writer *w) {
    int size = size_or(w, 28);
    put(w,
        "[net]\nbatch=%d\nsubdivisions=%d\nheight=%d\nwidth=%d\nchannels=3\nmax_crop=%d\nmin_crop=%d\n\nhue=."
        "1\n"
        "saturation=.75\nexposure=.75\n\nlearning_rate=0.001\npolicy=poly\npower=4\nmax_batches = "
        "5000\nmomentum=0.9\n"
        "decay=0.0005\n",
        w->o->batch, w->o->subdivisions, size, size, size + 4, size + 4);
    for (int filters = 128; filters <= 512; filters *= 2) {
        for (int i = 0; i < 3; i++) conv(w, filters, 3, 1);
        if (filters < 512) pool(w);
        dropout(w, .5);
    }
    put(w,
        "\n[convolutional]\nfilters=%d\nsize=1\nstride=1\npad=1\nactivation=leaky\n\n[avgpool]\n\n[softmax]\n"
        "groups=1\ntemperature=3\n",
        w->o->classes);
}

static void strided(writer *w) {
    static const int layers[][3] = {{64, 7, 2},  {192, 3, 2}, {128, 1, 1}, {256, 3, 2}, {128, 1, 1},
                                    {256, 3, 1}, {128, 1, 1}, {512, 3, 2}, {256, 1, 1}, {512, 3, 1}};
    int size = size_or(w, 56);
    w->activation = "ramp";
    w->normalized = false;
    put(w,
        "[net]\nbatch=%d\nsubdivisions=%d\nheight=%d\nwidth=%d\nchannels=3\nmomentum=0.9\ndecay=0.0005\n\n"
        "learning_rate=0.001\npolicy=steps\nscales=.1,.1,.1\nsteps=200000,300000,400000\nmax_batches="
        "800000\n",
        w->o->batch, w->o->subdivisions, w->o->random ? size + 8 : size, w->o->random ? size + 8 : size);
    crop(w, size, w->o->random ? "exposure=1.2\nsaturation=1.2\nshift=.2\n" : "exposure=1\nsaturation=1\n");
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        conv(w, layers[i][0], layers[i][1], layers[i][2]);
    connected(w, width(w, 4096), "ramp");
    dropout(w, .5);
    connected(w, w->o->classes, "ramp");
    put(w, "\n[softmax]\n");
}

static void jnet(writer *w) {
    int size = size_or(w, 10);
    w->normalized = false;
    put(w,
        "[net]\nbatch=1\nsubdivisions=1\nheight=%d\nwidth=%d\nchannels=3\nlearning_rate=0.01\nmomentum=0.9\n"
        "decay=0.0005\n",
        size, size);
    for (int filters = 32; filters <= 256; filters *= 2) {
        conv(w, filters, 3, 1);
        conv(w, filters, 3, 1);
        pool(w);
    }
    conv(w, 512, 3, 1);
}

static void go(writer *w) {
    int size = size_or(w, 19);
    w->activation = "relu";
    put(w,
        "[net]\nbatch=%d\nsubdivisions=%d\nheight=%d\nwidth=%d\nchannels=1\nmomentum=0.9\ndecay=0."
        "0005\n\nburn_in=2\n"
        "learning_rate=0.001\npolicy=poly\npower=4\nmax_batches=10000000\n",
        w->o->batch, w->o->subdivisions, size, size);
    for (int i = 0; i < 12; i++) conv(w, 256, 3, 1);
    put(w, "\n[convolutional]\nfilters=1\nsize=1\nstride=1\npad=1\nactivation=linear\n\n[reorg]\nextra="
           "1\nstride=1\n\n"
           "[softmax]\n");
}

/* An inverted residual; squeezed: with squeeze and excitation, reduced to a quarter of the block's input. */
static void inverted(writer *w, int in, int out, int expansion, int size, int stride, bool squeezed) {
    int inner = width(w, in) * expansion;
    if (expansion > 1) grouped(w, inner, 1, 1, 1, w->activation);
    grouped(w, inner, size, stride, inner, w->activation);
    if (squeezed) {
        put(w,
            "\n#squeeze-n-excitation\n[avgpool]\n\n[convolutional]\nfilters=%d\nsize=1\nstride=1\nactivation="
            "swish\n",
            width(w, in) / 4 ? width(w, in) / 4 : 1);
        put(w,
            "\n[convolutional]\nfilters=%d\nsize=1\nstride=1\nactivation=logistic\n\n[scale_channels]\nfrom=-"
            "4\n",
            inner);
    }
    linear(w, out, 1);
    if (stride > 1 || in != out) return;
    dropout(w, .2);
    put(w, "\n[shortcut]\nfrom=%d\nactivation=linear\n", squeezed ? -9 : -5);
}

static void efficient(writer *w, int size, const int channels[9], const int counts[7], bool squeezed) {
    static const int kernels[] = {3, 3, 5, 3, 5, 5, 3}, strides[] = {1, 2, 2, 2, 1, 2, 1};
    w->activation = squeezed ? "swish" : "relu6";
    put(w,
        "[net]\nbatch=%d\nsubdivisions=%d\nheight=%d\nwidth=%d\nchannels=3\nmomentum=0.9\ndecay=0.0005\nmax_"
        "crop=%d\n"
        "cutmix=1\nlabel_smooth_eps=0.1\n\nlearning_rate=0.001\npolicy=sgdr\nmax_batches="
        "800000\nangle=7\nhue=.1\n"
        "saturation=.75\nexposure=.75\naspect=.75\n",
        w->o->batch, w->o->subdivisions, size, size, size + 32);
    conv(w, channels[0], 3, 2);
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < counts[i]; k++)
            inverted(w, k ? channels[i + 1] : channels[i], channels[i + 1], i ? 6 : 1, kernels[i],
                     k ? 1 : strides[i], squeezed);
    conv(w, channels[8], 1, 1);
    put(w, "\n[avgpool]\n");
    dropout(w, .2);
    put(w,
        "\n[convolutional]\nfilters=%d\nsize=1\nstride=1\npad=0\nactivation=linear\n\n[softmax]\ngroups=1\n#["
        "cost]\n"
        "#type=sse\n",
        w->o->classes);
}

static void efficientnet_b0(writer *w) {
    static const int channels[] = {32, 16, 24, 40, 80, 112, 192, 320, 1280}, counts[] = {1, 2, 2, 3, 3, 4, 1};
    efficient(w, size_or(w, 64), channels, counts, true);
}

static void efficientnet_lite3(writer *w) {
    static const int channels[] = {32, 24, 32, 48, 96, 136, 232, 384, 1280}, counts[] = {1, 3, 3, 5, 5, 6, 1};
    efficient(w, size_or(w, 64), channels, counts, false);
}

static const struct {
    const char *name;
    void (*write)(writer *w);
    bool trains;
} families[] = {{"alexnet", alexnet, true},
                {"vgg-16", vgg16, true},
                {"extraction", extraction, true},
                {"darknet19", darknet19, true},
                {"darknet19_448", darknet19_448, true},
                {"darknet53", darknet53, true},
                {"resnet18", resnet18, true},
                {"resnet34", resnet34, true},
                {"resnet50", resnet50, true},
                {"resnet101", resnet101, true},
                {"resnet152", resnet152, true},
                {"resnext50", resnext50, true},
                {"resnext101", resnext101, true},
                {"resnext152", resnext152, true},
                {"densenet201", densenet201, true},
                {"darknet", darknet_reference, true},
                {"tiny", tiny, true},
                {"cifar", cifar, true},
                {"strided", strided, true},
                {"jnet-conv", jnet, false},
                {"go", go, true},
                {"efficientnet-b0", efficientnet_b0, true},
                {"efficientnet-lite3", efficientnet_lite3, true}};

size_t family_count(void) {
    return sizeof families / sizeof *families;
}

const char *family_name(size_t i) {
    return families[i].name;
}

bool family_trains(size_t i) {
    return families[i].trains;
}

size_t family_find(const char *name) {
    for (size_t i = 0; i < family_count(); i++)
        if (strcmp(families[i].name, name) == 0) return i;
    fail_msg("no family %s", name);
    return 0;
}

char *family_text(size_t i, const family_options *o) {
    writer w = {.o = o, .activation = "leaky", .normalized = true};
    if (strcmp(families[i].name, "alexnet") == 0 || strcmp(families[i].name, "vgg-16") == 0)
        w.normalized = false;
    families[i].write(&w);
    return w.text;
}
