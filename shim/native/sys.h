// The system calls that JavaScript lacks, as the native module "sys". Each file adds one concern's functions.
// Arguments are checked by type only: what is allowed is decided in TypeScript. A failed call throws an Error with
// `errno` (number), `code` ("ENOENT") and `syscall`.
#ifndef KUASAR_SYS_H
#define KUASAR_SYS_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quickjs.h"

extern const JSCFunctionListEntry sys_digest_functions[], sys_file_functions[], sys_loop_functions[], sys_mount_functions[],
    sys_network_functions[], sys_process_functions[], sys_socket_functions[], sys_text_functions[];
extern const int sys_digest_count, sys_file_count, sys_loop_count, sys_mount_count, sys_network_count, sys_process_count, sys_socket_count,
    sys_text_count;

// What one process leaves to the next; from malloc().
struct sys_bequest {
    char *text;
    uint8_t *bytes;
    size_t size;
};
extern struct sys_bequest sys_inheritance;

// Leaves the command's memory behind and runs the server's bundle; does not come back. The text is taken over.
void sys_become_server(char *text) __attribute__((noreturn));
int sys_is_server(void);
// In a process that a server has forked: runs the command's bundle anew, by its function child().
void sys_become_child(const struct sys_bequest *bequest) __attribute__((noreturn));

// Gives memory back that nothing uses: of the heap, of the stack below this frame, and what has become shareable again.
void sys_give_back_memory(void);

// Where the kernel put this program's arguments, to show something else in ps.
extern char **sys_argv;
extern int sys_argc;

// Throws the reason of a rejection that no code has handled: -1; 0 when there is none.
int sys_throw_unhandled(JSContext *ctx);

JSValue sys_throw(JSContext *ctx, const char *syscall, const char *subject);

// The strings of a JavaScript array as a NULL-terminated vector; NULL with an exception pending.
char **sys_string_vector(JSContext *ctx, JSValueConst array);
void sys_free_string_vector(JSContext *ctx, char **vector);

// A JavaScript array's length; -1 with an exception pending.
int64_t sys_length(JSContext *ctx, JSValueConst array);

// The bytes of an ArrayBuffer from offset on; NULL with an exception pending when offset + length leaves it.
uint8_t *sys_bytes(JSContext *ctx, JSValueConst buffer, JSValueConst offset, JSValueConst length, size_t *out_length);

#define SYS_FUNCTION(name) \
    static JSValue name(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)

#define SYS_INT(variable, index)                                   \
    int variable;                                                  \
    if (JS_ToInt32(ctx, &variable, argv[index])) return JS_EXCEPTION

// A C string, to be freed with JS_FreeCString. One with a NUL inside is EINVAL, since the kernel would stop there.
// NULL with an exception pending.
const char *sys_string(JSContext *ctx, JSValueConst value, size_t *length);

#define SYS_STRING(variable, index)                                          \
    size_t variable##_length;                                                \
    const char *variable = sys_string(ctx, argv[index], &variable##_length); \
    if (!variable) return JS_EXCEPTION

#endif
