// Runtimes that are ready to run, at the end of the program's own file: the build prepares them (--make-snapshot), and
// every process maps them. What it does not change it shares with all others.
#ifndef KUASAR_SNAPSHOT_H
#define KUASAR_SNAPSHOT_H

#include "arena.h"

enum bundle { COMMAND, SERVER, BUNDLES };

// Where the bundle's arena is, in every process.
void *snapshot_address(enum bundle bundle);

// Maps the bundle's arena as it was written; NULL where the program's file has none.
struct arena *snapshot_map(enum bundle bundle);

// Shares the pages again whose contents have become the file's again: what a request writes to in passing, such as the
// reference counts of what it uses, is as it was when the request is over.
void snapshot_share(enum bundle bundle);

// Writes the program's own file with the arenas at its end; 0, or -1 with errno.
int snapshot_write(const char *path, struct arena *const arenas[BUNDLES]);

#endif
