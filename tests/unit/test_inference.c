/* Inference in turns and with packed weights: the same bytes as one plain pass, on any number of threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/random.h"
#include "made_cfg.h"

static const char TEXT[] =
    "[net]\nbatch=8\nheight=18\nwidth=16\nchannels=3\n"
    "[convolutional]\nbatch_normalize=1\nfilters=24\nsize=3\npad=1\nactivation=relu6\n"
    "[convolutional]\nbatch_normalize=1\nfilters=24\ngroups=24\nsize=3\npad=1\nactivation=leaky\n"
    "[convolutional]\nbatch_normalize=1\nfilters=24\nsize=1\nactivation=linear\n"
    "[shortcut]\nfrom=-3\nactivation=linear\n"
    "[convolutional]\nbatch_normalize=1\nfilters=32\ngroups=2\nsize=3\nstride=2\npad=1\nactivation=mish\n"
    "[convolutional]\nbatch_normalize=1\nfilters=32\ngroups=32\nsize=3\npad=1\nstride=2\nactivation=relu6\n"
    "[dropout]\nprobability=.3\n[avgpool]\n"
    "[connected]\noutput=10\nactivation=linear\n[softmax]\n[cost]\n";
enum { BATCH = 8, OUTPUTS = 10 };

static float *random_images(const network *net) {
    size_t count = BATCH * tensor_size(network_input_shape(net));
    float *images = malloc(count * sizeof *images);
    random_state r = random_seeded(4, 4);
    for (size_t i = 0; i < count; i++) images[i] = random_uniform(&r, 0, 1);
    return images;
}

static void answer(network *net, const float *images, size_t batch, float *to) {
    network_forward(net, images, batch);
    memcpy(to, network_output_layer(net)->output.data, batch * OUTPUTS * sizeof(float));
}

/* Statistics and weights that are no longer the initial ones. */
static network *trained(int threads) {
    network *net = made_network_from(TEXT, true, threads, 3);
    float *images = random_images(net), truth[BATCH * OUTPUTS] = {0};
    for (int n = 0; n < BATCH; n++) truth[n * OUTPUTS + n % OUTPUTS] = 1.0f;
    assert_true(isfinite(network_train_pass(net, images, truth, BATCH)));
    free(images);
    return net;
}

static void turns_do_not_matter(void **state) {
    (void)state;
    network *net = trained(1), *other = trained(3);
    float *images = random_images(net), whole[BATCH * OUTPUTS], turns[BATCH * OUTPUTS];
    assert_true(net->segment_count > 2);
    assert_true(net->segments[0].images == BATCH); /* a network this small has no need of turns */
    answer(net, images, BATCH, whole);
    for (size_t most = 1; most <= 3; most++) {
        for (int i = 0; i < other->segment_count; i++) other->segments[i].images = most + (size_t)i;
        answer(other, images, BATCH, turns);
        assert_memory_equal(whole, turns, sizeof whole);
        answer(other, images, 5, turns);
        assert_memory_equal(whole, turns, 5 * OUTPUTS * sizeof(float));
    }
    free(images);
    network_destroy(net);
    network_destroy(other);
}

static void packed_weights_answer_the_same(void **state) {
    (void)state;
    network *net = trained(2);
    float *images = random_images(net), plain[BATCH * OUTPUTS], packed[BATCH * OUTPUTS];
    answer(net, images, BATCH, plain);
    assert_true(network_pack_weights(net));
    answer(net, images, BATCH, packed);
    assert_memory_equal(plain, packed, sizeof plain);
    for (size_t i = 0; i < BATCH; i++) {
        answer(net, images + i * tensor_size(network_input_shape(net)), 1, packed);
        assert_memory_equal(plain + i * OUTPUTS, packed, OUTPUTS * sizeof(float));
    }
    free(images);
    network_destroy(net);
}

static void twice_the_weights(void *user, const layer *l, const float *weights, float *used, size_t count) {
    (void)user;
    (void)l;
    for (size_t i = 0; i < count; i++) used[i] = 2.0f * weights[i];
}

/* Whatever changes weights through the library ends the packing. */
static void changed_weights_are_seen(void **state) {
    (void)state;
    network *net = trained(2);
    float *images = random_images(net), truth[BATCH * OUTPUTS] = {0}, before[BATCH * OUTPUTS],
          after[BATCH * OUTPUTS];
    error e = {0};
    assert_true(network_pack_weights(net));
    answer(net, images, BATCH, before);
    layer_values(&net->layers[0], "weights")[0] += 1.0f; /* not through the library: not seen */
    answer(net, images, BATCH, after);
    assert_memory_equal(before, after, sizeof before);
    network_unpack_weights(net);
    answer(net, images, BATCH, after);
    assert_memory_not_equal(before, after, sizeof before);

    assert_true(network_pack_weights(net));
    assert_true(layer_set_weight_transform(&net->layers[2], twice_the_weights, NULL));
    answer(net, images, BATCH, before);
    assert_memory_not_equal(before, after, sizeof before);
    assert_true(network_pack_weights(net)); /* what the transform makes is packed */
    answer(net, images, BATCH, after);
    assert_memory_equal(before, after, sizeof before);
    (void)network_train_pass(net, images, truth, BATCH);
    assert_null(net->packed_weights);

    assert_true(network_save_weights(net, made_path("a.weights"), -1, &e));
    assert_true(network_pack_weights(net));
    assert_true(network_load_weights(net, made_path("a.weights"), false, NULL, &e));
    assert_null(net->packed_weights);
    free(images);
    network_destroy(net);
}

/* A network of inference alone for passes of MANY images, with the trained one's parameters. */
enum { MANY = 30 };
static network *many(const network *from, int threads) {
    network *net = made_network_from(TEXT, false, threads, 3);
    error e = {0};
    assert_true(network_replan(net, false, MANY, &e));
    memcpy(net->values, from->values, net->parameter_total * sizeof(float));
    assert_true(network_pack_weights(net));
    return net;
}

static void a_crew_answers_the_same(void **state) {
    (void)state;
    network *from = trained(1);
    size_t image = tensor_size(network_input_shape(from));
    float *images = malloc(MANY * image * sizeof *images), alone[MANY * OUTPUTS], crew[MANY * OUTPUTS];
    random_state r = random_seeded(5, 5);
    for (size_t i = 0; i < MANY * image; i++) images[i] = random_uniform(&r, 0, 1);
    network *one = many(from, 1);
    assert_null(one->crew);
    answer(one, images, MANY, alone);
    for (int threads = 2; threads <= 4; threads++) {
        network *net = many(from, threads);
        assert_int_equal(net->crew_count, threads);
        assert_true(net->crew[0]->pass_batch * (size_t)threads * 4 >= MANY);
        for (size_t batch = MANY; batch > 0; batch -= batch > 7 ? 5 : 1) {
            memset(crew, 0, sizeof crew);
            net->layers[0].output.data = NULL;
            answer(net, images, batch, crew);
            assert_int_equal(net->layers[0].output.data == NULL, batch > net->crew[0]->pass_batch);
            assert_memory_equal(alone, crew, batch * OUTPUTS * sizeof(float));
        }
        network_unpack_weights(net);
        assert_null(net->crew);
        answer(net, images, MANY, crew);
        assert_memory_equal(alone, crew, sizeof crew);
        network_destroy(net);
    }
    free(images);
    network_destroy(one);
    network_destroy(from);
}

/* Where weights are made anew in every pass there is none; nor for passes of few images, nor without memory.
 */
static void a_crew_needs_weights_that_stay(void **state) {
    (void)state;
    network *from = trained(1), *net = many(from, 2);
    assert_non_null(net->crew);
    assert_true(layer_set_weight_transform(&net->layers[2], twice_the_weights, NULL));
    assert_true(network_pack_weights(net));
    assert_null(net->crew);
    error e = {0};
    assert_true(layer_set_weight_transform(&net->layers[2], NULL, NULL));
    assert_true(network_replan(net, false, 7, &e));
    assert_true(network_pack_weights(net));
    assert_null(net->crew);
    assert_true(network_replan(net, false, MANY, &e));
    assert_true(network_pack_weights(net));
    assert_non_null(net->crew);
    net->memory_limit = net->memory_bytes + net->crew[0]->arena_bytes;
    assert_true(network_pack_weights(net));
    assert_null(net->crew);
    network_destroy(net);
    network_destroy(from);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crew_answers_the_same), cmocka_unit_test(a_crew_needs_weights_that_stay),
        cmocka_unit_test(turns_do_not_matter), cmocka_unit_test(packed_weights_answer_the_same),
        cmocka_unit_test(changed_weights_are_seen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
