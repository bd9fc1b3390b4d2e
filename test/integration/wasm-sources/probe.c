// What a C program, built by clang with wasi-libc, finds in a container. /outside leads out of the image.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int depth(int n) {
    volatile char frame[16] = {(char)n};
    return n ? n + depth(n - 1) + frame[0] * 0 : 0;
}

static const char *opened(const char *path) {
    return open(path, O_RDONLY) < 0 ? "denied" : "opened";
}

static int entries(const char *path) {
    DIR *folder = opendir(path);
    int count = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder));) count += entry->d_name[0] != '.';
    return folder ? closedir(folder), count : -1;
}

__attribute__((export_name("report"))) void report(void) {
    puts("reported");
    fflush(stdout);
}

int main(int argc, char **argv) {
    printf("args");
    for (int i = 1; i < argc; i++) printf(" [%s]", argv[i]);
    printf("\nenv %s\n", getenv("MINE"));
    FILE *file = fopen("/data/written", "w+");
    char text[16] = "";
    if (!file || fputs("by a module", file) < 0 || fseek(file, 0, SEEK_SET) || !fgets(text, sizeof text, file)) return 1;
    fclose(file);
    printf("file %s, %d in its folder\n", text, entries("/data"));
    char *large = calloc(200, 1 << 20);
    for (size_t at = 0; large && at < 200u << 20; at += 4096) large[at] = 1;
    unsigned char random[16] = {0}, zero[16] = {0};
    printf("memory %s, depth %d\n", large ? "taken" : "refused", depth(100));
    printf("clock %d, random %d\n", time(NULL) > 1700000000, !getentropy(random, 16) && memcmp(random, zero, 16));
    printf("outside %s %s %s\n", opened("/outside"), opened("../../../etc/shadow"), opened("/data/../../etc/shadow"));
    return 7;
}
