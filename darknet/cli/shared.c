/* What several commands do: building a network and saying what is wrong with its cfg. */
#include <stdio.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/table.h"

static void print_diagnostics(const diagnostics *d) {
    for (size_t i = 0; i < diagnostics_count(d); i++) {
        bool warning;
        const char *sentence = diagnostics_get(d, i, &warning);
        (void)fprintf(stderr, "darknet: %s%s\n", warning ? "warning: " : "", sentence);
    }
    if (diagnostics_dropped(d))
        (void)fprintf(stderr, "darknet: and %zu mistakes and warnings more\n", diagnostics_dropped(d));
}

network *command_build(program *p, const char *cfg_path_name, network_settings *settings) {
    const darknet_extension *extensions[1] = {plugin_extension(p->plugin)};
    static const darknet_extension *kept[1]; /* the network keeps the list */
    kept[0] = extensions[0];
    settings->extensions = kept;
    settings->extension_count = 1;
    if (!settings->max_memory_bytes) settings->max_memory_bytes = plugin_memory_limit(p->plugin);
    diagnostics *d = diagnostics_create();
    error e = {0};
    network *net = d ? network_create(cfg_path_name, settings, d, &e) : NULL;
    if (d) print_diagnostics(d);
    if (!net && (!d || diagnostics_error_count(d) == 0)) fail("%s", e.message);
    diagnostics_destroy(d);
    return net;
}

network *command_network(program *p, const char *cfg_path_name, network_settings *settings) {
    network *net = command_build(p, cfg_path_name, settings);
    if (net && isatty(STDERR_FILENO)) (void)table_print(net, stderr);
    return net;
}

int command_with_data(program *p, const command_spec *spec, int argc, char **argv,
                      int (*run)(program *p, const arguments *a, const data_options *data)) {
    arguments a;
    parse_result parsed = arguments_parse(&a, spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    error e = {0};
    data_options data;
    diagnostics *d = diagnostics_create();
    bool good = data_options_diagnose(a.positions[0], &data, d, &e);
    if (!good && diagnostics_error_count(d) > 0) {
        print_diagnostics(d);
        diagnostics_destroy(d);
        return 1;
    }
    if (good && (data.train || data.valid || data.test)) print_diagnostics(d);
    diagnostics_destroy(d);
    if (!good) return fail("%s", e.message);
    int status = run(p, &a, &data);
    data_options_free(&data);
    return status;
}

key_overrides command_overrides(const arguments *a) {
    static const char *const lambda_keys[] = {"net.hdloss", "hdloss.lambda"};
    key_overrides keys = {.count = 0};
    for (int i = 0; i < 2 && option_given(a, "-hdloss"); i++) {
        keys.list[keys.count][0] = lambda_keys[i];
        keys.list[keys.count++][1] = option_text(a, "-hdloss");
    }
    if (option_given(a, "-bfloat16")) {
        keys.list[keys.count][0] = "net.bfloat16";
        keys.list[keys.count++][1] = "1";
    }
    return keys;
}

bool command_threads(const arguments *a, int *threads) {
    *threads = 0;
    return option_int(a, "-threads", 1, 1024, threads);
}
