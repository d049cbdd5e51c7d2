/* Feeds a fuzzer the files of a folder, or files, once each: no libFuzzer is needed. Usage: fuzz_NAME FOLDER|FILE... */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

static unsigned fed;

static void feed_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(length > 0 ? (size_t)length : 1);
    expect(bytes != NULL && fread(bytes, 1, (size_t)length, file) == (size_t)length);
    fclose(file);
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(bytes, (size_t)length);
    free(bytes);
    fed++;
}

static void feed_folder(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        perror(path);
        exit(2);
    }
    for (int i = 0; i < count; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            feed_file(name);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat status;
        if (stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode))
            feed_folder(argv[i]);
        else
            feed_file(argv[i]);
    }
    printf("%u passed, 0 failed\n", fed);
    return fed > 0 ? 0 : 1;
}
