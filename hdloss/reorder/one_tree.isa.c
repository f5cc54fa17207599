/* Prim's algorithm on a full matrix: R. C. Prim, "Shortest connection networks and some generalizations",
 * Bell System Technical Journal 36 (1957). A key is the cost with the node's number in its lowest bits, so
 * that one minimum finds both and equal costs go to the lower number. */
#include "reorder/one_tree.h"
#include "words/isa.h"

int64_t HD_ISA_NAME(hd_spanning_tree)(const uint32_t *restrict distances, size_t stride, uint32_t count,
                                      const int64_t *restrict potentials, int32_t *restrict degrees,
                                      int64_t *restrict reach, int64_t *restrict offer,
                                      uint32_t *restrict parents) {
    const int64_t taken_reach = INT64_C(1) << 61, taken_offer = INT64_C(1) << 62;
    for (uint32_t i = 0; i < count; i++) {
        degrees[i] = 0;
        reach[i] = taken_reach - 1;
        offer[i] = potentials[i] * (INT64_C(1) << HD_TREE_INDEX_BITS) + i;
    }
    int64_t length = 0;
    uint32_t newest = 0;
    reach[0] = taken_reach;
    offer[0] = taken_offer;
    for (uint32_t step = 1; step < count; step++) {
        const uint32_t *restrict row = distances + (size_t)newest * stride;
        int64_t own = potentials[newest] * (INT64_C(1) << HD_TREE_INDEX_BITS), nearest = INT64_MAX;
        for (uint32_t i = 0; i < count; i++) {
            int64_t key = ((int64_t)row[i] << (HD_TREE_SCALE_BITS + HD_TREE_INDEX_BITS)) + own + offer[i];
            parents[i] = key < reach[i] ? newest : parents[i];
            reach[i] = key < reach[i] ? key : reach[i];
            nearest = reach[i] < nearest ? reach[i] : nearest;
        }
        newest = (uint32_t)(nearest & (HD_TREE_LARGEST_COUNT - 1));
        length += nearest >> HD_TREE_INDEX_BITS;
        degrees[newest]++;
        degrees[parents[newest]]++;
        reach[newest] = taken_reach;
        offer[newest] = taken_offer;
    }
    return length;
}
