/* Colour changes in HSV (A. R. Smith, Color gamut transform pairs, SIGGRAPH 1978), the hue as sixths of a
 * turn. */
#include "data/transform.h"

static float larger(float a, float b) {
    return a > b ? a : b;
}

static float smaller(float a, float b) {
    return a < b ? a : b;
}

static float clamp_unit(float value) {
    return value < 0 ? 0 : value > 1 ? 1 : value;
}

/* Sixths of a turn, in [0, 6); grey has hue 0. */
static float hue_of(float red, float green, float blue, float most, float range) {
    if (range <= 0) return 0;
    if (most == red) return (green - blue) / range + (green < blue ? 6.0f : 0.0f);
    if (most == green) return 2 + (blue - red) / range;
    return 4 + (red - green) / range;
}

/* A colour from hue (sixths, less than two turns off), saturation and value; a saturation above 1 gives
 * values below 0, clamped. */
static void set_color(float *rgb, float sixths, float saturation, float value) {
    float turned = sixths < 0 ? sixths + 6 : sixths >= 6 ? sixths - 6 : sixths;
    int sector = (int)turned;
    float rest = turned - (float)sector;
    float low = clamp_unit(value * (1 - saturation)), high = clamp_unit(value);
    float falling = clamp_unit(value * (1 - saturation * rest));
    float rising = clamp_unit(value * (1 - saturation * (1 - rest)));
    switch (sector) {
    case 1:
        rgb[0] = falling, rgb[1] = high, rgb[2] = low;
        break;
    case 2:
        rgb[0] = low, rgb[1] = high, rgb[2] = rising;
        break;
    case 3:
        rgb[0] = low, rgb[1] = falling, rgb[2] = high;
        break;
    case 4:
        rgb[0] = rising, rgb[1] = low, rgb[2] = high;
        break;
    case 5:
        rgb[0] = high, rgb[1] = low, rgb[2] = falling;
        break;
    default:
        rgb[0] = high, rgb[1] = rising, rgb[2] = low;
        break; /* sector 0; 6 when rounding made a whole turn */
    }
}

void transform_color(float *pixels, size_t count, int channels, float hue, float saturation, float value) {
    if (channels != 3) {
        for (size_t i = 0; i < count * (size_t)channels; i++) pixels[i] = clamp_unit(pixels[i] * value);
        return;
    }
    for (size_t i = 0; i < count; i++, pixels += 3) {
        float red = pixels[0], green = pixels[1], blue = pixels[2];
        float most = larger(red, larger(green, blue)), range = most - smaller(red, smaller(green, blue));
        float old_saturation = most > 0 ? range / most : 0;
        float sixths = hue_of(red, green, blue, most, range) + 6 * hue;
        set_color(pixels, sixths, old_saturation * saturation, most * value);
    }
}
