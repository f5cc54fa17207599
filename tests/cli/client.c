/* A C program as Darknet's users write them: classifies images through libdarknet and prints "NN.NN%: name"
 * lines, as `darknet classifier predict` does, then tries the rest of the interface. client DATA CFG WEIGHTS
 * TOP IMAGE... */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "darknet.h"

static void classify(network *net, metadata meta, int top, char *path) {
    image im = load_image_color(path, 0, 0);
    image boxed = letterbox_image(im, network_width(net), network_height(net));
    set_batch_network(net, 1);
    float *predictions = network_predict(net, boxed.data);
    int *indexes = calloc((size_t)top, sizeof *indexes);
    top_k(predictions, meta.classes, top, indexes);
    for (int i = 0; i < top; i++)
        printf("%5.2f%%: %s\n", predictions[indexes[i]] * 100, meta.names[indexes[i]]);
    int *again = calloc((size_t)top, sizeof *again);
    top_predictions(net, top, again);
    assert(memcmp(indexes, again, (size_t)top * sizeof *again) == 0);
    float best = predictions[indexes[0]];
    assert(network_predict_image(net, im)[indexes[0]] == best);
    free(indexes);
    free(again);
    free_image(im);
    free_image(boxed);
}

static void images(void) {
    image im = make_image(4, 2, 3);
    for (int i = 0; i < 24; i++) im.data[i] = (float)i;
    image square = center_crop_image(im, 2, 2);
    assert(square.w == 2 && square.h == 2 && square.c == 3);
    assert(square.data[0] == 1.0f && square.data[3] == 6.0f && square.data[4] == 9.0f);
    image larger = resize_image(im, 7, 2);
    assert(larger.data[1] == .5f && larger.data[6] == 3.0f);
    free_image(square);
    free_image(larger);
    free_image(im);
    image none = load_image_color("nowhere.png", 0, 0);
    assert(!none.data && strstr(darknet_last_error(), "nowhere.png"));
    none = letterbox_image(none, 3, 3);
    assert(!none.data && darknet_last_error()[0]);
    free_image(none);
    none = make_image(0, 3, 3);
    assert(!none.data && darknet_last_error()[0]);
}

static void orders(void) {
    const float values[] = {.1f, .7f, .7f, -1.0f};
    int index[6];
    top_k(values, 4, 6, index);
    const int wanted[] = {1, 2, 0, 3, -1, -1};
    assert(memcmp(index, wanted, sizeof wanted) == 0);
}

/* The weight files: whole, the first layers, and what is no file for this network. */
static void files(char *cfg, char *weights) {
    network *net = load_network(cfg, NULL, 0), *other = load_network(cfg, weights, 0);
    assert(net && other && network_batch(net) == 32);
    save_weights_upto(other, "first.weights", 2);
    assert(!darknet_last_error()[0]);
    assert(!load_network(cfg, "first.weights", 0) && strstr(darknet_last_error(), "layer 2"));
    free_network(net);
    net = load_network(cfg, "first.weights", 1);
    assert(net && strstr(darknet_last_notes(), "2 layers loaded"));
    darknet_parameter here, there;
    for (int i = 0; i < 2; i++) {
        assert(layer_get_parameter(network_layer(net, i), "weights", &here));
        assert(layer_get_parameter(network_layer(other, i), "weights", &there));
        assert(memcmp(here.values, there.values, here.count * sizeof(float)) == 0);
    }
    load_weights(net, "first.weights");
    assert(strstr(darknet_last_error(), "first.weights"));
    load_weights_upto(net, weights, 0, 3);
    assert(!darknet_last_error()[0]);
    load_weights(net, weights);
    assert(!darknet_last_error()[0]);
    save_weights(net, "again.weights");
    assert(!load_network(cfg, "missing.weights", 0) && strstr(darknet_last_error(), "missing.weights"));
    assert(!load_network("missing.cfg", 0, 0) && strstr(darknet_last_error(), "missing.cfg"));
    free_network(net);
    free_network(other);
}

static void training(char *cfg) {
    network *net = load_network(cfg, NULL, 0);
    int inputs = network_width(net) * network_height(net) * network_channels(net),
        outputs = network_outputs(net);
    enum { ROWS = 8 };
    data d = {.X = {ROWS, inputs, calloc(ROWS, sizeof(float *))},
              .y = {ROWS, outputs, calloc(ROWS, sizeof(float *))}};
    for (int i = 0; i < ROWS; i++) {
        d.X.vals[i] = calloc((size_t)inputs, sizeof(float));
        d.y.vals[i] = calloc((size_t)outputs, sizeof(float));
        for (int j = 0; j < inputs; j++) d.X.vals[i][j] = (float)(j % (i + 2)) / 9.0f;
        d.y.vals[i][i % outputs] = 1;
    }
    assert(isnan(train_network(net, d)) && strstr(darknet_last_error(), "multiple of the batch of 32"));
    set_batch_network(net, 4);
    float first = train_network(net, d), last = first;
    for (int i = 0; i < 20; i++) last = train_network(net, d);
    assert(isfinite(first) && last < .8f * first);
    for (int i = 0; i < ROWS; i++) {
        free(d.X.vals[i]);
        free(d.y.vals[i]);
    }
    free(d.X.vals);
    free(d.y.vals);
    free_network(net);
}

int main(int argc, char **argv) {
    if (argc < 6) return 2;
    metadata meta = get_metadata(argv[1]);
    network *net = load_network(argv[2], argv[3], 0);
    if (!net || !meta.names) {
        fprintf(stderr, "client: %s\n", darknet_last_error());
        free_network(net);
        free_ptrs((void **)meta.names, meta.classes);
        return 1;
    }
    for (int i = 5; i < argc; i++) classify(net, meta, atoi(argv[4]), argv[i]);
    free_network(net);
    free_ptrs((void **)meta.names, meta.classes);
    char **labels = get_labels("tiny.names");
    assert(labels && strcmp(labels[3], "rising") == 0 && !labels[4]);
    free_ptrs((void **)labels, 4);
    assert(!get_labels("missing.names") && !get_metadata("missing.data").names);
    images();
    orders();
    files(argv[2], argv[3]);
    training(argv[2]);
    free_network(NULL);
    return 0;
}
