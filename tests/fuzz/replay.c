/* A fuzz target without a fuzzer: runs it over the files of the directories (and the files) that are named.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

static int runs;

static void run_file(const char *path) {
    FILE *file = fopen(path, "rb");
    FUZZ_CHECK(file);
    struct stat status;
    FUZZ_CHECK(fstat(fileno(file), &status) == 0);
    size_t count = (size_t)status.st_size;
    uint8_t *bytes = malloc(count ? count : 1); /* of exactly that size, so that a sanitizer sees its end */
    FUZZ_CHECK(bytes && fread(bytes, 1, count, file) == count);
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(bytes, count);
    free(bytes);
    runs++;
}

static void run_directory(const char *path) {
    DIR *directory = opendir(path);
    FUZZ_CHECK(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        char inner[4096];
        if (entry->d_name[0] == '.') continue;
        (void)snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        run_file(inner);
    }
    (void)closedir(directory);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        struct stat status;
        if (stat(argv[i], &status) != 0) {
            (void)fprintf(stderr, "%s: no such input\n", argv[i]);
            return 1;
        }
        if (S_ISDIR(status.st_mode))
            run_directory(argv[i]);
        else
            run_file(argv[i]);
    }
    printf("%s: %d inputs\n", argv[0], runs);
    return runs == 0;
}
