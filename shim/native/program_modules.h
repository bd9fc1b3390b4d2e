// A native program may have a module beside "sys" that no other one needs.
#ifndef KUASAR_PROGRAM_MODULES_H
#define KUASAR_PROGRAM_MODULES_H

#include "quickjs.h"

// Adds it before the bundles are evaluated: 0, or -1. Without a definition there is none.
int add_program_modules(JSContext *ctx) __attribute__((weak));

#endif
