/* .stream sidecars. Length and checksum are set right first, or nothing behind them would ever be reached;
 * what is read is written again and must give the same bytes. */
#include "fuzz.h"
#include "hdloss.h"
#include "stream/sidecar.h"

static void decode(const uint8_t *bytes, size_t count) {
    hd_stream stream;
    hd_error e = {{0}};
    if (!hd_stream_decode(bytes, count, "x.stream", &stream, &e)) {
        fuzz_check_sentence(e.message, sizeof e.message);
        return;
    }
    uint8_t *again = NULL;
    size_t again_count = 0;
    FUZZ_CHECK(hd_stream_encode(&stream, &again, &again_count, &e));
    hd_stream second;
    FUZZ_CHECK(hd_stream_decode(again, again_count, "again.stream", &second, &e));
    FUZZ_CHECK(second.layer_count == stream.layer_count && second.node_count == stream.node_count);
    for (size_t i = 0; i < stream.layer_count; i++) {
        hd_plan plan;
        FUZZ_CHECK(hd_stream_layer_plan(&stream.layers[i], &stream.accelerator, &plan, &e));
        FUZZ_CHECK(memcmp(stream.layers[i].words, second.layers[i].words, plan.weights) == 0);
        hd_plan_free(&plan);
    }
    hd_stream_free(&second);
    hd_stream_free(&stream);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    decode(bytes, count);
    if (count < HD_STREAM_HEADER_BYTES) return 0;
    uint8_t *copy = malloc(count);
    FUZZ_CHECK(copy);
    memcpy(copy, bytes, count);
    for (size_t i = 0; i < 8; i++) copy[16 + i] = (uint8_t)((uint64_t)count >> 8 * i);
    uint32_t checksum = hd_crc32(0, copy + 16, count - 16);
    for (size_t i = 0; i < 4; i++) copy[12 + i] = (uint8_t)(checksum >> 8 * i);
    decode(copy, count);
    free(copy);
    return 0;
}
