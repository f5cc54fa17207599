/* stb_image's JPEG reader, which the program itself leaves out, as the reference: see jpeg_files.h. Its
 * warnings are its own, hence the pragmas. */
#include "jpeg_files.h"

#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wsign-compare"
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

uint8_t *jpeg_reference(const uint8_t *bytes, size_t count, int channels, int *width, int *height) {
    int found;
    return stbi_load_from_memory(bytes, (int)count, width, height, &found, channels);
}
