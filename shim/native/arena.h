// Memory for one JavaScript runtime, at an address of its own that is the same in every process: so a runtime that has
// been prepared once can be written to a file, and mapped, ready to go on, by every later process (snapshot.c).
#ifndef KUASAR_ARENA_H
#define KUASAR_ARENA_H

#include <stddef.h>

#include "quickjs.h"

#define ARENA_BYTES ((size_t)1 << 32)

struct arena;

// The arena's own bookkeeping is in its first bytes, so that it goes with the snapshot.
struct arena *arena_create(void *address);
// Where a pointer of the runtime's owner is kept in it.
void **arena_root(struct arena *arena);
// How much of it has ever been used, in bytes from its start.
size_t arena_used(const struct arena *arena);
// The functions for JS_NewRuntime2, with the arena as their opaque.
extern const JSMallocFunctions arena_functions;

#endif
