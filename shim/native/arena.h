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
// With all that is in it.
void arena_drop(struct arena *arena);
// Leaves it out of what a fork copies: a child has nothing at its address.
void arena_keep_from_children(struct arena *arena);
// Where a pointer of the runtime's owner is kept in it.
void **arena_root(struct arena *arena);
// To be called before it is written to a file: how many bytes of it to write, which are whole pages. What is in these is
// never allocated again, even when it is freed: who writes to a page of the file has it for himself from then on.
size_t arena_seal(struct arena *arena);
// Puts free blocks that are neighbours together, and gives pages in which there is nothing else back to the kernel.
void arena_tidy(struct arena *arena);
// The functions for JS_NewRuntime2, with the arena as their opaque.
extern const JSMallocFunctions arena_functions;

#endif
