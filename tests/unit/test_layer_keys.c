/* Keys of [net] and of layers that say what is trained, and from where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "made_cfg.h"

#include <cmocka.h> /* after headers that use its words */

#define NET "[net]\nheight=4\nwidth=4\nchannels=2\n"
#define CONV "[convolutional]\nfilters=3\nsize=3\npad=1\nactivation=linear\n"

/* Which of a network's three layers with parameters learn, with `keys` in the second one. */
static void expect_learning(const char *keys, bool first, bool second) {
    char text[512];
    (void)snprintf(text, sizeof text, NET CONV CONV "%s[connected]\noutput=2\nactivation=linear\n[softmax]\n",
                   keys);
    network *net = made_network_from(text, true, 1, 1);
    assert_int_equal(net->layers[0].parameters[0].gradient != NULL, first);
    assert_int_equal(net->layers[1].parameters[0].gradient != NULL, second);
    assert_non_null(net->layers[2].parameters[0].gradient);
    network_destroy(net);
}

static void stopbackward_takes_any_number(void **state) {
    (void)state;
    char message[1024];
    expect_learning("", true, true);
    expect_learning("stopbackward=0\n", true, true);
    expect_learning("stopbackward=1\n", false, false);
    expect_learning("stopbackward=800\n", false, false);
    made_cfg_error(NET CONV "stopbackward=-1\n[softmax]\n", message);
    assert_non_null(strstr(message, ":10: stopbackward: \"-1\" is not a whole number of at least 0"));
}

static void expect_mixing(const char *keys, float mixup, float cutmix, float mosaic) {
    char text[512];
    (void)snprintf(text, sizeof text, NET "%s" CONV "[softmax]\n", keys);
    network *net = made_network_from(text, false, 1, 1);
    const net_options *o = &net->options;
    assert_float_equal(o->mixup, mixup, 1e-7f);
    assert_float_equal(o->cutmix, cutmix, 1e-7f);
    assert_float_equal(o->mosaic, mosaic, 1e-7f);
    assert_true(o->mixup + o->cutmix + o->mosaic <= 1.0f);
    network_destroy(net);
}

static void mixing_keys_are_probabilities(void **state) {
    (void)state;
    char message[1024];
    expect_mixing("", 0, 0, 0);
    expect_mixing("mosaic=1\n", 0, 0, 1);
    expect_mixing("mixup=.2\ncutmix=.3\nmosaic=.5\n", .2f, .3f, .5f);
    expect_mixing("cutmix=1\nmosaic=1\n", 0, .5f, .5f);
    expect_mixing("mixup=1\ncutmix=1\nmosaic=1\n", 1.0f / 3, 1.0f / 3, 1.0f / 3);
    expect_mixing("mixup=.7\ncutmix=.9\n", .4375f, .5625f, 0);
    made_cfg_error(NET "mosaic=2\n" CONV "[softmax]\n", message);
    assert_non_null(strstr(message, ":5: mosaic: \"2\" is not a number from 0 to 1"));
}

static void blur_is_a_number_of_pixels(void **state) {
    (void)state;
    char message[1024];
    network *net = made_network_from(NET "blur=1.5\n" CONV "[softmax]\n", false, 1, 1);
    assert_true(net->options.blur == 1.5f);
    network_destroy(net);
    made_cfg_error(NET "blur=65\n" CONV "[softmax]\n", message);
    assert_non_null(strstr(message, ":5: blur: \"65\" is not a number from 0 to 64"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(stopbackward_takes_any_number),
                                       cmocka_unit_test(mixing_keys_are_probabilities),
                                       cmocka_unit_test(blur_is_a_number_of_pixels)};
    return cmocka_run_group_tests_name("layer keys", tests, NULL, NULL);
}
