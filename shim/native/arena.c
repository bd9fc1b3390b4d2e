#include "arena.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

// Blocks come in sizes of 16 n, 8 of which are a header; beyond SMALL_MAX in quarters of powers of two. A freed block is
// kept for the next of its size: what a shim needs, it needs again. Blocks lie without gaps, so that arena_tidy can go
// from one to the next; neighbours that are free become a span, from which blocks of any size are cut.
#define SMALL_MAX 512
#define SMALL_CLASSES (SMALL_MAX / 16)
#define LARGE_CLASSES 128
#define CLASSES (SMALL_CLASSES + 1 + LARGE_CLASSES)
#define SPAN 0
#define PAGE 4096
// Spans are in lists by the power of two that they reach. In that of its own size a block is looked for in so many spans
// at most, since there may be thousands in a heap that was large once; of any longer one the first will do.
#define LISTS (CLASSES + 33)
#define SPANS_TRIED 64
// A freed block of this size gives its pages back to the kernel at once.
#define GIVE_BACK_BYTES (64 * 1024)

struct block {
    uint32_t class;
    uint32_t free;
    // From here on it is the owner's, unless it is free.
    struct block *next;
    // Of a span, header included.
    size_t bytes;
};

#define HEADER_BYTES offsetof(struct block, next)

struct arena {
    void *root;
    size_t used;
    // Where the blocks begin that may be allocated again.
    size_t begin;
    // What is free: blocks by class, then spans by size.
    struct block *lists[LISTS];
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

static size_t size_of(const struct block *block) {
    uint32_t class = block->class;
    if (class == SPAN) return block->bytes;
    if (class <= SMALL_CLASSES) return (size_t)class * 16;
    uint32_t large = class - SMALL_CLASSES - 1;
    size_t power = (size_t)SMALL_MAX << (large / 4);
    return power + power / 4 * (large % 4 + 1);
}

static struct block *block_at(const struct arena *arena, size_t offset) {
    return (struct block *)((uintptr_t)arena + offset);
}

static size_t offset_of(const struct arena *arena, const struct block *block) {
    return (uintptr_t)block - (uintptr_t)arena;
}

static struct block *block_of(const void *bytes) {
    return (struct block *)((uintptr_t)bytes - HEADER_BYTES);
}

// Gives the pages within [from, to) back to the kernel: they are zeros, or a snapshot's, when they are touched again.
static void give_back(uintptr_t from, uintptr_t to) {
    from = (from + PAGE - 1) / PAGE * PAGE;
    to = to / PAGE * PAGE;
    if (from < to) madvise((void *)from, to - from, MADV_DONTNEED);
}

static void give_back_inside(struct block *block) {
    give_back((uintptr_t)(block + 1), (uintptr_t)block + size_of(block));
}

static int span_list(size_t bytes) {
    return CLASSES + 63 - __builtin_clzl(bytes);
}

static int list_of(const struct block *block) {
    return block->class == SPAN ? span_list(block->bytes) : (int)block->class;
}

static void put_on_list(struct arena *arena, struct block *block) {
    int list = list_of(block);
    block->next = arena->lists[list];
    arena->lists[list] = block;
}

// The span's first bytes; what is left of it is a span again, or a block of the smallest class.
static struct block *cut(struct arena *arena, struct block *span, size_t total) {
    size_t left = span->bytes - total;
    if (left > 0) {
        struct block *rest = (struct block *)((uintptr_t)span + total);
        rest->class = left < sizeof *rest ? 1 : SPAN;
        rest->free = 1;
        if (rest->class == SPAN) rest->bytes = left;
        put_on_list(arena, rest);
    }
    return span;
}

static struct block *cut_from_span(struct arena *arena, size_t total) {
    for (int list = span_list(total); list < LISTS; list++) {
        struct block **link = &arena->lists[list];
        for (int tried = 0; *link && tried < SPANS_TRIED; link = &(*link)->next, tried++) {
            struct block *span = *link;
            if (span->bytes < total) continue;
            *link = span->next;
            return cut(arena, span, total);
        }
    }
    return NULL;
}

static void *arena_malloc(JSMallocState *state, size_t size) {
    struct arena *arena = state->opaque;
    if (size >= ARENA_BYTES / 4) return NULL;
    size_t total;
    uint32_t class = class_of(size + HEADER_BYTES, &total);
    if (class >= CLASSES) return NULL;
    struct block *block = arena->lists[class];
    if (block) {
        arena->lists[class] = block->next;
    } else if (!(block = cut_from_span(arena, total))) {
        if (ARENA_BYTES - arena->used < total) return NULL;
        block = block_at(arena, arena->used);
        arena->used += total;
    }
    block->class = class;
    block->free = 0;
    state->malloc_count++;
    state->malloc_size += total;
    return (uint8_t *)block + HEADER_BYTES;
}

static size_t arena_usable_size(const void *bytes) {
    return bytes ? size_of(block_of(bytes)) - HEADER_BYTES : 0;
}

static void arena_free(JSMallocState *state, void *bytes) {
    if (!bytes) return;
    struct arena *arena = state->opaque;
    struct block *block = block_of(bytes);
    size_t total = size_of(block);
    state->malloc_count--;
    state->malloc_size -= total;
    if (offset_of(arena, block) < arena->begin) return;
    if (total >= GIVE_BACK_BYTES) give_back_inside(block);
    block->free = 1;
    put_on_list(arena, block);
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
    // Headers end at a multiple of 16, so that what follows their headers is aligned.
    arena->used += HEADER_BYTES;
    arena->begin = arena->used;
    return arena;
}

void arena_drop(struct arena *arena) {
    munmap(arena, ARENA_BYTES);
}

void arena_keep_from_children(struct arena *arena) {
    madvise(arena, ARENA_BYTES, MADV_DONTFORK);
}

void **arena_root(struct arena *arena) {
    return &arena->root;
}

size_t arena_seal(struct arena *arena) {
    size_t bytes = (arena->used + PAGE - 1) / PAGE * PAGE;
    memset(arena->lists, 0, sizeof arena->lists);
    arena->used = bytes + HEADER_BYTES;
    arena->begin = arena->used;
    return bytes;
}

void arena_tidy(struct arena *arena) {
    // The lists are made anew, in the order of addresses: the next blocks are taken where most of the others are.
    struct block **last[LISTS];
    for (int list = 0; list < LISTS; list++) last[list] = &arena->lists[list];
    for (size_t at = arena->begin, end; at < arena->used; at = end) {
        struct block *block = block_at(arena, at);
        end = at + size_of(block);
        if (!block->free) continue;
        size_t alone = end;
        while (end < arena->used && block_at(arena, end)->free) end += size_of(block_at(arena, end));
        if (end == arena->used) {
            arena->used = at;
            give_back((uintptr_t)block, (uintptr_t)arena + end + PAGE - 1);
            break;
        }
        if (end > alone) {
            block->class = SPAN;
            block->bytes = end - at;
        }
        give_back_inside(block);
        int list = list_of(block);
        *last[list] = block;
        last[list] = &block->next;
    }
    for (int list = 0; list < LISTS; list++) *last[list] = NULL;
}
