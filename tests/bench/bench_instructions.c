/* The hot kernels, one at a time, for counting instructions: bench_instructions KERNEL CALLS runs a kernel so
 * many times on one thread; without arguments it lists their names. scripts/bench_instructions counts them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/random.h"
#include "kernels/kernels.h"

enum { BATCH = 2, MOST_CHANNELS = 256, MOST_VALUES = BATCH * 16 * 16 * MOST_CHANNELS };

typedef enum kernel_kind { FORWARD, INFERENCE, BACKWARD, REDUCE, ADD } kernel_kind;

typedef struct kernel {
    const char *name;
    kernel_kind kind;
    size_t extent, in, out, size, stride, groups;
} kernel;

static const kernel kernels[] = {{"1x1-144-24-forward", FORWARD, 16, 144, 24, 1, 1, 1},
                                 {"1x1-24-144-forward", FORWARD, 16, 24, 144, 1, 1, 1},
                                 {"1x1-144-24-inference", INFERENCE, 16, 144, 24, 1, 1, 1},
                                 {"1x1-144-24-backward", BACKWARD, 16, 144, 24, 1, 1, 1},
                                 {"1x1-24-144-backward", BACKWARD, 16, 24, 144, 1, 1, 1},
                                 {"3x3-32-32-forward", FORWARD, 16, 32, 32, 3, 1, 1},
                                 {"3x3-32-32-backward", BACKWARD, 16, 32, 32, 3, 1, 1},
                                 {"depthwise-144-forward", FORWARD, 16, 144, 144, 3, 1, 144},
                                 {"depthwise-144-inference", INFERENCE, 16, 144, 144, 3, 1, 144},
                                 {"depthwise-144-backward", BACKWARD, 16, 144, 144, 3, 1, 144},
                                 {"depthwise-144-stride-2-forward", FORWARD, 16, 144, 144, 3, 2, 144},
                                 {"depthwise-144-stride-2-backward", BACKWARD, 16, 144, 144, 3, 2, 144},
                                 {"reduce-144", REDUCE, 16, 144, 144, 1, 1, 1},
                                 {"add-144", ADD, 16, 144, 144, 1, 1, 1}};
enum { KERNEL_COUNT = sizeof kernels / sizeof kernels[0] };

static float *random_floats(size_t count, uint64_t stream) {
    random_state r = random_seeded(1, stream);
    float *values = memory_allocate(count, sizeof(float));
    if (!values) exit(EXIT_FAILURE);
    for (size_t i = 0; i < count; i++) values[i] = random_uniform(&r, -1, 1);
    return values;
}

static convolution_shape shape_of(const kernel *k) {
    size_t padding = k->size / 2, out = (k->extent + 2 * padding - k->size) / k->stride + 1;
    return (convolution_shape){.batch = BATCH,
                               .in_height = k->extent,
                               .in_width = k->extent,
                               .in_channels = k->in,
                               .out_height = out,
                               .out_width = out,
                               .out_channels = k->out,
                               .size = k->size,
                               .stride_y = k->stride,
                               .stride_x = k->stride,
                               .padding = padding,
                               .dilation = 1,
                               .groups = k->groups};
}

typedef struct arrays {
    float *in, *out, *delta, *in_delta, *weights, *weight_delta, *channels;
    void *packed, *workspace;
} arrays;

static arrays make_arrays(const convolution_shape *s) {
    size_t weights = s->out_channels * s->in_channels / s->groups * s->size * s->size;
    size_t bytes = convolution_forward_workspace_bytes(s, 1),
           more = convolution_backward_workspace_bytes(s, 1);
    size_t reduce = channel_reduce_workspace_bytes(MOST_VALUES / MOST_CHANNELS, MOST_CHANNELS);
    bytes = bytes > more ? bytes : more;
    arrays a = {.in = random_floats(MOST_VALUES, 1),
                .out = random_floats(MOST_VALUES, 2),
                .delta = random_floats(MOST_VALUES, 3),
                .in_delta = random_floats(MOST_VALUES, 4),
                .weights = random_floats(weights, 5),
                .weight_delta = random_floats(weights, 6),
                .channels = random_floats((size_t)16 * MOST_CHANNELS, 7)};
    a.packed = memory_allocate(convolution_packed_bytes(s), 1);
    a.workspace = memory_allocate(bytes > reduce ? bytes : reduce, 1);
    if (!a.packed || !a.workspace) exit(EXIT_FAILURE);
    convolution_pack(s, a.weights, a.packed);
    return a;
}

static void free_arrays(arrays *a) {
    void *all[] = {a->in,           a->out,      a->delta,  a->in_delta, a->weights,
                   a->weight_delta, a->channels, a->packed, a->workspace};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) memory_free(all[i]);
}

static void call_kernel(const kernel *k, const convolution_shape *s, const arrays *a) {
    float *c[16];
    size_t pixels = s->batch * s->out_height * s->out_width;
    for (size_t i = 0; i < 16; i++) c[i] = a->channels + i * MOST_CHANNELS;
    const channel_map map = {c[0], c[1], ACTIVATION_RELU6};
    const lazy_tensor in = {a->in, map}, plain = {.data = a->in};
    const lazy_gradient dy = {a->delta, a->out, {c[2], c[3], ACTIVATION_RELU6}, c[4], c[5], c[6]};
    const channel_moments moments = {c[7], c[8]};
    const gradient_sums sums = {c[9], c[10], c[11]};
    switch (k->kind) {
    case FORWARD:
        convolution_forward(s, &in, a->weights, a->out, NULL, &moments, a->workspace, 1);
        break;
    case INFERENCE:
        convolution_forward_packed(s, &plain, a->packed, a->out, &map, a->workspace, 1);
        break;
    case BACKWARD:
        convolution_backward_sums(s, &in, &dy, a->weights, a->in_delta, false, a->weight_delta, &sums,
                                  a->workspace, 1);
        break;
    case REDUCE:
        lazy_gradient_reduce(pixels, s->out_channels, &dy, c[9], c[10], c[11], a->workspace, 1);
        break;
    case ADD:
        lazy_tensor_add(pixels, s->out_channels, 1, &in, 1, &plain, a->out, 1);
        break;
    }
}

int main(int argc, char **argv) {
    for (size_t i = 0; i < KERNEL_COUNT; i++) {
        if (argc < 3) {
            printf("%s\n", kernels[i].name);
        } else if (strcmp(argv[1], kernels[i].name) == 0) {
            convolution_shape s = shape_of(&kernels[i]);
            arrays a = make_arrays(&s);
            for (long n = strtol(argv[2], NULL, 10); n > 0; n--) call_kernel(&kernels[i], &s, &a);
            free_arrays(&a);
            return EXIT_SUCCESS;
        }
    }
    return argc < 3 ? EXIT_SUCCESS : EXIT_FAILURE;
}
