// In the place of arena.c and snapshot.c: every block of JavaScript's is one of malloc's, so that the sanitizers see where it
// begins and ends, and runtimes are prepared by each process, since the arenas' addresses are the sanitizers' own.
#include <malloc.h>
#include <stdlib.h>

#include "snapshot.h"

struct arena {
    void *root;
};

static struct arena arenas[BUNDLES];

static size_t usable_size(const void *bytes) {
    return malloc_usable_size((void *)bytes);
}

static void *counted(JSMallocState *state, void *bytes) {
    if (!bytes) return NULL;
    state->malloc_count++;
    state->malloc_size += usable_size(bytes);
    return bytes;
}

static void uncount(JSMallocState *state, const void *bytes) {
    if (!bytes) return;
    state->malloc_count--;
    state->malloc_size -= usable_size(bytes);
}

static void *allocate(JSMallocState *state, size_t size) {
    return size < ARENA_BYTES / 4 ? counted(state, malloc(size)) : NULL;
}

static void release(JSMallocState *state, void *bytes) {
    uncount(state, bytes);
    free(bytes);
}

static void *reallocate(JSMallocState *state, void *bytes, size_t size) {
    if (!bytes) return size ? allocate(state, size) : NULL;
    if (size == 0) {
        release(state, bytes);
        return NULL;
    }
    if (size >= ARENA_BYTES / 4) return NULL;
    size_t old = usable_size(bytes);
    void *moved = realloc(bytes, size);
    if (!moved) return NULL;
    state->malloc_size += usable_size(moved) - old;
    return moved;
}

const JSMallocFunctions arena_functions = {allocate, release, reallocate, usable_size};

struct arena *arena_create(void *address) {
    return address;
}

void arena_drop(struct arena *arena) {
    // What is in it is malloc's, and stays.
    arena->root = NULL;
}

void arena_keep_from_children(struct arena *arena) {
    (void)arena;
}

void **arena_root(struct arena *arena) {
    return &arena->root;
}

size_t arena_seal(struct arena *arena) {
    (void)arena;
    return 0;
}

void arena_tidy(struct arena *arena) {
    (void)arena;
}

void *snapshot_address(enum bundle bundle) {
    return &arenas[bundle];
}

struct arena *snapshot_map(enum bundle bundle) {
    (void)bundle;
    return NULL;
}

void snapshot_share(enum bundle bundle) {
    (void)bundle;
}

int snapshot_write(const char *path, struct arena *const of[BUNDLES]) {
    (void)path, (void)of;
    return -1;
}
