#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define MAGIC "kuasar-snapshot1"

// The file's last bytes.
struct trailer {
    struct {
        uint64_t offset, bytes;
    } part[BUNDLES];
    // The program's code that the arenas have pointers into: a snapshot goes with one link of it only.
    uint64_t code;
    char magic[16];
};

void *snapshot_address(enum bundle bundle) {
    // Far from where the kernel puts programs, heaps, stacks and libraries.
    return (void *)(((uintptr_t)bundle + 1) << 44);
}

// Opens the program's own file; -1 where it has no snapshot.
static int open_snapshot(struct trailer *trailer) {
    struct stat status;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    // The first process of a machine is there before /proc is: the path that it was executed by.
    if (fd < 0) fd = open((const char *)getauxval(AT_EXECFN), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    if (fstat(fd, &status) || status.st_size < (off_t)sizeof *trailer) goto none;
    if (pread(fd, trailer, sizeof *trailer, status.st_size - (off_t)sizeof *trailer) != sizeof *trailer) goto none;
    if (memcmp(trailer->magic, MAGIC, sizeof trailer->magic) || trailer->code != (uint64_t)(uintptr_t)snapshot_map) goto none;
    return fd;
none:
    close(fd);
    return -1;
}

struct arena *snapshot_map(enum bundle bundle) {
    struct arena *arena = NULL;
    struct trailer trailer;
    int fd = open_snapshot(&trailer);
    if (fd < 0) return NULL;
    int flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE;
    void *address = snapshot_address(bundle);
    void *all = mmap(address, ARENA_BYTES, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) goto done;
    flags = MAP_PRIVATE | MAP_FIXED;
    void *part = mmap(address, trailer.part[bundle].bytes, PROT_READ | PROT_WRITE, flags, fd, (off_t)trailer.part[bundle].offset);
    if (part != MAP_FAILED) arena = part;
done:
    close(fd);
    return arena;
}

void snapshot_share(enum bundle bundle) {
    struct trailer trailer;
    int fd = open_snapshot(&trailer);
    if (fd < 0) return;
    size_t bytes = trailer.part[bundle].bytes;
    uint8_t *ours = snapshot_address(bundle);
    const uint8_t *files = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, (off_t)trailer.part[bundle].offset);
    close(fd);
    if (files == MAP_FAILED) return;
    for (size_t from = 0, to; from < bytes; from = to + PAGE) {
        for (to = from; to < bytes && !memcmp(ours + to, files + to, PAGE);) to += PAGE;
        // A private page that is dropped is the file's again, and shared by all who have it.
        if (to > from) madvise(ours + from, to - from, MADV_DONTNEED);
    }
    munmap((void *)files, bytes);
}

static int write_all(int fd, const void *bytes, size_t size) {
    for (size_t at = 0; at < size;) {
        ssize_t put = write(fd, (const uint8_t *)bytes + at, size - at);
        if (put < 0) return -1;
        at += (size_t)put;
    }
    return 0;
}

int snapshot_write(const char *path, struct arena *const arenas[BUNDLES]) {
    static const uint8_t zeros[PAGE];
    struct trailer trailer = {.code = (uint64_t)(uintptr_t)snapshot_map, .magic = MAGIC};
    struct stat status;
    int result = -1, from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = -1;
    if (from < 0 || fstat(from, &status)) goto done;
    to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    if (to < 0) goto done;
    for (off_t left = status.st_size; left > 0;) {
        ssize_t moved = sendfile(to, from, NULL, (size_t)left);
        if (moved <= 0) goto done;
        left -= moved;
    }
    uint64_t at = (uint64_t)status.st_size;
    for (int bundle = 0; bundle < BUNDLES; bundle++) {
        size_t padding = (PAGE - at % PAGE) % PAGE;
        if (write_all(to, zeros, padding)) goto done;
        trailer.part[bundle].offset = at + padding;
        trailer.part[bundle].bytes = arena_seal(arenas[bundle]);
        if (write_all(to, arenas[bundle], trailer.part[bundle].bytes)) goto done;
        at += padding + trailer.part[bundle].bytes;
    }
    result = write_all(to, &trailer, sizeof trailer);
done:
    if (from >= 0) close(from);
    if (to >= 0 && close(to)) result = -1;
    return result;
}
