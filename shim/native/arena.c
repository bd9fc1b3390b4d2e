#include "arena.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

// Blocks come in sizes of 16 n, 8 of which are a header; beyond SMALL_MAX in quarters of powers of two. A freed block is
// kept for the next of its size: what a shim needs, it needs again.
#define SMALL_MAX 512
#define SMALL_CLASSES (SMALL_MAX / 16)
#define LARGE_CLASSES 128
#define PAGE 4096
// A freed block of this size gives its pages back to the kernel.
#define GIVE_BACK_BYTES (64 * 1024)

struct free_block {
    struct free_block *next;
};

struct arena {
    void *root;
    size_t used;
    struct free_block *free[SMALL_CLASSES + 1 + LARGE_CLASSES];
};

struct header {
    uint32_t class;
    uint32_t unused;
};

// The class of the smallest blocks that hold `total` bytes, header included; and how large they are.
static uint32_t class_of(size_t total, size_t *size) {
    if (total <= SMALL_MAX) {
        uint32_t class = (uint32_t)((total + 15) / 16);
        *size = (size_t)class * 16;
        return class;
    }
    size_t power = SMALL_MAX;
    uint32_t class = SMALL_CLASSES + 1;
    for (;; power *= 2) {
        for (size_t quarter = 1; quarter <= 4; quarter++, class++) {
            *size = power + power / 4 * quarter;
            if (total <= *size) return class;
        }
    }
}

static size_t size_of(uint32_t class) {
    if (class <= SMALL_CLASSES) return (size_t)class * 16;
    uint32_t large = class - SMALL_CLASSES - 1;
    size_t power = (size_t)SMALL_MAX << (large / 4);
    return power + power / 4 * (large % 4 + 1);
}

static void *arena_malloc(JSMallocState *state, size_t size) {
    struct arena *arena = state->opaque;
    if (size >= ARENA_BYTES / 4) return NULL;
    size_t total;
    uint32_t class = class_of(size + sizeof(struct header), &total);
    if (class >= SMALL_CLASSES + 1 + LARGE_CLASSES) return NULL;
    struct header *header;
    if (arena->free[class]) {
        header = (struct header *)((uint8_t *)arena->free[class] - sizeof(struct header));
        arena->free[class] = arena->free[class]->next;
    } else {
        if (ARENA_BYTES - arena->used < total) return NULL;
        header = (struct header *)((uint8_t *)arena + arena->used);
        arena->used += total;
        header->class = class;
    }
    state->malloc_count++;
    state->malloc_size += total;
    return header + 1;
}

static size_t arena_usable_size(const void *bytes) {
    return bytes ? size_of(((const struct header *)bytes - 1)->class) - sizeof(struct header) : 0;
}

static void arena_free(JSMallocState *state, void *bytes) {
    if (!bytes) return;
    struct arena *arena = state->opaque;
    struct header *header = (struct header *)bytes - 1;
    size_t total = size_of(header->class);
    state->malloc_count--;
    state->malloc_size -= total;
    if (total >= GIVE_BACK_BYTES) {
        uintptr_t from = ((uintptr_t)bytes + sizeof(struct free_block) + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
        uintptr_t to = ((uintptr_t)header + total) & ~(uintptr_t)(PAGE - 1);
        // Not of pages that came with a snapshot's file: they would come back with its old contents, which is as well.
        madvise((void *)from, to - from, MADV_DONTNEED);
    }
    struct free_block *block = bytes;
    block->next = arena->free[header->class];
    arena->free[header->class] = block;
}

static void *arena_realloc(JSMallocState *state, void *bytes, size_t size) {
    if (!bytes) return size ? arena_malloc(state, size) : NULL;
    if (size == 0) {
        arena_free(state, bytes);
        return NULL;
    }
    size_t old = arena_usable_size(bytes);
    if (size <= old) return bytes;
    void *larger = arena_malloc(state, size);
    if (!larger) return NULL;
    memcpy(larger, bytes, old);
    arena_free(state, bytes);
    return larger;
}

const JSMallocFunctions arena_functions = {arena_malloc, arena_free, arena_realloc, arena_usable_size};

struct arena *arena_create(void *address) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    struct arena *arena = mmap(address, ARENA_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (arena == MAP_FAILED) return NULL;
    arena->used = (sizeof *arena + 15) & ~(size_t)15;
    // Blocks begin 8 bytes before a multiple of 16, so that what follows their headers is aligned.
    arena->used += 8;
    return arena;
}

void **arena_root(struct arena *arena) {
    return &arena->root;
}

size_t arena_used(const struct arena *arena) {
    return arena->used;
}
