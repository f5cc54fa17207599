/* What `hd reorder` reports: flips and energy recounted from the words that were written, what clusters and
 * signs gained, and how near the orders are to the best possible ones. */
#include <stdio.h>

#include "command_reorder.h"

static const char *const sign_names[] = {
    [SIGNS_KEPT] = "kept", [SIGNS_FOLDED] = "folded", [SIGNS_SEGMENT] = "segment"};

static double ratio(double before, double after) {
    return before > 0.0 && after > 0.0 ? before / after : 1.0;
}

static double cluster_gain(const hd_cluster_report *c) {
    return ratio((double)c->segment_flips.flips, (double)c->cluster_flips.flips);
}

static void print_clusters(const reordering_run *run) {
    hd_flips segment = {0}, cluster = {0};
    printf("layer     segment     cluster   gain  exchanges\n");
    for (size_t i = 0; i < run->written.count; i++) {
        const hd_cluster_report *c = &run->gains[i].cluster;
        printf("%5d %11llu %11llu %6.3f %6llu of %llu%s\n", run->written.items[i].index,
               (unsigned long long)c->segment_flips.flips, (unsigned long long)c->cluster_flips.flips,
               cluster_gain(c), (unsigned long long)c->exchanges_made, (unsigned long long)c->exchanges_tried,
               c->clustered ? "" : "; kept its segments");
        hd_flips_add(&segment, &c->segment_flips);
        hd_flips_add(&cluster, &c->cluster_flips);
    }
    printf("total %11llu %11llu %6.3f (one pass); an image %.3f\n", (unsigned long long)segment.flips,
           (unsigned long long)cluster.flips, ratio((double)segment.flips, (double)cluster.flips),
           ratio((double)segment.flips_per_image, (double)cluster.flips_per_image));
}

void reorder_print(const reordering_run *run) {
    const hd_certificate *c = &run->certificate;
    size_t negated = 0;
    for (size_t i = 0; i < run->written.count; i++) negated += run->gains[i].negated;
    if (run->request.method == ORDER_CLUSTER) print_clusters(run);
    printf("%s: %s reordering on %s: flips an image %llu -> %llu (%.3fx fewer), datapath energy %.3f -> "
           "%.3f uJ (%.3fx less)\n",
           run->out, order_method_name(run->request.method), run->loaded->model.accelerator.name,
           (unsigned long long)run->before.flips.flips_per_image,
           (unsigned long long)run->after.flips.flips_per_image,
           ratio((double)run->before.flips.flips_per_image, (double)run->after.flips.flips_per_image),
           run->before.energy.datapath_pj * 1e-6, run->after.energy.datapath_pj * 1e-6,
           ratio(run->before.energy.datapath_pj, run->after.energy.datapath_pj));
    if (negated) printf("  %zu filters negated (signs %s)\n", negated, sign_names[run->request.signs]);
    if (c->orders > c->uncertified)
        printf("  orders proven within %.2f %% of the best on average, %.2f %% at worst; %zu of %zu proven "
               "shortest (flips inside "
               "tiles)\n",
               100.0 * c->mean_gap, 100.0 * c->largest_gap, c->proven_shortest, c->orders);
}

static json_t *cluster_json(const hd_cluster_report *c) {
    return json_pack("{s:I, s:I, s:f, s:b, s:I, s:I}", "segment_flips", (json_int_t)c->segment_flips.flips,
                     "cluster_flips", (json_int_t)c->cluster_flips.flips, "gain", cluster_gain(c),
                     "clustered", (int)c->clustered, "exchanges_tried", (json_int_t)c->exchanges_tried,
                     "exchanges_made", (json_int_t)c->exchanges_made);
}

json_t *reorder_json(const reordering_run *run) {
    json_t *root = report_streams(&run->written, run->each, &run->after, true);
    if (!root) return NULL;
    const hd_certificate *c = &run->certificate;
    json_object_set_new(root, "method", json_string(order_method_name(run->request.method)));
    json_object_set_new(root, "signs", json_string(sign_names[run->request.signs]));
    json_object_set_new(root, "flips_per_image_before",
                        json_integer((json_int_t)run->before.flips.flips_per_image));
    json_object_set_new(root, "flips_ratio",
                        json_real(ratio((double)run->before.flips.flips_per_image,
                                        (double)run->after.flips.flips_per_image)));
    json_object_set_new(root, "energy_ratio",
                        json_real(ratio(run->before.energy.datapath_pj, run->after.energy.datapath_pj)));
    if (c->orders)
        json_object_set_new(root, "certificate",
                            json_pack("{s:I, s:I, s:I, s:f, s:f}", "orders", (json_int_t)c->orders,
                                      "uncertified", (json_int_t)c->uncertified, "proven_shortest",
                                      (json_int_t)c->proven_shortest, "mean_gap", c->mean_gap, "largest_gap",
                                      c->largest_gap));
    json_t *layers = json_object_get(root, "layers");
    for (size_t i = 0; i < run->written.count; i++) {
        json_t *entry = json_array_get(layers, i);
        if (run->request.method == ORDER_CLUSTER)
            json_object_set_new(entry, "cluster", cluster_json(&run->gains[i].cluster));
        if (run->request.signs != SIGNS_KEPT)
            json_object_set_new(entry, "negated_filters", json_integer((json_int_t)run->gains[i].negated));
    }
    return root;
}
