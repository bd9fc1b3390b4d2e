// A static program around two bundles of JavaScript, compiled to bytecode: a command, which is over in milliseconds,
// and the server that it may become, which lives as long as a pod. QuickJS, the module "sys", and main().
#include "sys.h"

#include "program_modules.h"
#include "snapshot.h"

#include <ctype.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

extern const uint8_t command_bytecode[], server_bytecode[];
extern const uint32_t command_bytecode_size, server_bytecode_size;

char **sys_argv;
int sys_argc;

static const char *errno_name(int number) {
    const char *name = strerrorname_np(number);
    return name ? name : "EUNKNOWN";
}

JSValue sys_throw(JSContext *ctx, const char *syscall, const char *subject) {
    int number = errno;
    char message[512];
    // Begun with a small letter, as Go's texts are: clients look for "no such file or directory".
    const char *text = strerror(number);
    // However long the subject is, the reason is told.
    snprintf(message, sizeof message, "%s%s%.300s: %c%s", syscall, subject ? " " : "", subject ? subject : "",
             tolower((unsigned char)*text), text + 1);
    JSValue error = JS_NewError(ctx);
    JS_DefinePropertyValueStr(ctx, error, "message", JS_NewString(ctx, message), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, error, "errno", JS_NewInt32(ctx, number), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, error, "code", JS_NewString(ctx, errno_name(number)), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, error, "syscall", JS_NewString(ctx, syscall), JS_PROP_C_W_E);
    return JS_Throw(ctx, error);
}

int64_t sys_length(JSContext *ctx, JSValueConst array) {
    int64_t length;
    JSValue value = JS_GetPropertyStr(ctx, array, "length");
    int failed = JS_IsException(value) || JS_ToInt64(ctx, &length, value);
    JS_FreeValue(ctx, value);
    return failed || length < 0 ? -1 : length;
}

const char *sys_string(JSContext *ctx, JSValueConst value, size_t *length) {
    const char *text = JS_ToCStringLen(ctx, length, value);
    if (!text || strlen(text) == *length) return text;
    JS_FreeCString(ctx, text);
    errno = EINVAL;
    sys_throw(ctx, "a NUL byte in a string", NULL);
    return NULL;
}

char **sys_string_vector(JSContext *ctx, JSValueConst array) {
    int64_t length = sys_length(ctx, array);
    if (length < 0) return NULL;
    char **vector = js_mallocz(ctx, sizeof(char *) * (size_t)(length + 1));
    if (!vector) return NULL;
    for (int64_t i = 0; i < length; i++) {
        JSValue item = JS_GetPropertyUint32(ctx, array, (uint32_t)i);
        size_t bytes;
        vector[i] = (char *)sys_string(ctx, item, &bytes);
        JS_FreeValue(ctx, item);
        if (!vector[i]) {
            sys_free_string_vector(ctx, vector);
            return NULL;
        }
    }
    return vector;
}

void sys_free_string_vector(JSContext *ctx, char **vector) {
    for (char **item = vector; *item; item++) JS_FreeCString(ctx, *item);
    js_free(ctx, vector);
}

uint8_t *sys_bytes(JSContext *ctx, JSValueConst buffer, JSValueConst offset, JSValueConst length, size_t *out_length) {
    size_t size;
    uint8_t *base = JS_GetArrayBuffer(ctx, &size, buffer);
    if (!base) {
        if (size == 0 && JS_IsObject(buffer) && !JS_HasException(ctx)) JS_ThrowTypeError(ctx, "an empty buffer");
        return NULL;
    }
    uint64_t start, count;
    if (JS_ToIndex(ctx, &start, offset) || JS_ToIndex(ctx, &count, length)) return NULL;
    if (start > size || count > size - start) {
        JS_ThrowRangeError(ctx, "%u bytes at %u leave a buffer of %u", (unsigned)count, (unsigned)start, (unsigned)size);
        return NULL;
    }
    *out_length = count;
    return base + start;
}

static int init_sys(JSContext *ctx, JSModuleDef *module) {
    JS_SetModuleExportList(ctx, module, sys_digest_functions, sys_digest_count);
    JS_SetModuleExportList(ctx, module, sys_file_functions, sys_file_count);
    JS_SetModuleExportList(ctx, module, sys_loop_functions, sys_loop_count);
    JS_SetModuleExportList(ctx, module, sys_mount_functions, sys_mount_count);
    JS_SetModuleExportList(ctx, module, sys_process_functions, sys_process_count);
    JS_SetModuleExportList(ctx, module, sys_network_functions, sys_network_count);
    JS_SetModuleExportList(ctx, module, sys_socket_functions, sys_socket_count);
    JS_SetModuleExportList(ctx, module, sys_text_functions, sys_text_count);
    return 0;
}

static int add_sys(JSContext *ctx) {
    JSModuleDef *module = JS_NewCModule(ctx, "sys", init_sys);
    if (!module) return -1;
    JS_AddModuleExportList(ctx, module, sys_digest_functions, sys_digest_count);
    JS_AddModuleExportList(ctx, module, sys_file_functions, sys_file_count);
    JS_AddModuleExportList(ctx, module, sys_loop_functions, sys_loop_count);
    JS_AddModuleExportList(ctx, module, sys_mount_functions, sys_mount_count);
    JS_AddModuleExportList(ctx, module, sys_process_functions, sys_process_count);
    JS_AddModuleExportList(ctx, module, sys_network_functions, sys_network_count);
    JS_AddModuleExportList(ctx, module, sys_socket_functions, sys_socket_count);
    JS_AddModuleExportList(ctx, module, sys_text_functions, sys_text_count);
    return 0;
}

static int fail(JSContext *ctx) {
    JSValue error = JS_GetException(ctx);
    const char *text = JS_ToCString(ctx, error);
    JSValue stack = JS_GetPropertyStr(ctx, error, "stack");
    const char *trace = JS_IsString(stack) ? JS_ToCString(ctx, stack) : NULL;
    fprintf(stderr, "%s\n%s", text ? text : "an exception that has no text", trace ? trace : "");
    return 1;
}

// Rejections that nobody has handled yet. A promise may be handled later in the same turn, so they are told of only
// when the turn is over (sys_unhandled).
#define UNHANDLED_LIMIT 16
static struct {
    JSValue promise, reason;
} unhandled[UNHANDLED_LIMIT];
static int unhandled_count;

static void track_rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason, JS_BOOL handled, void *opaque) {
    if (!handled) {
        if (unhandled_count == UNHANDLED_LIMIT) return;
        unhandled[unhandled_count].promise = JS_DupValue(ctx, promise);
        unhandled[unhandled_count++].reason = JS_DupValue(ctx, reason);
        return;
    }
    for (int i = 0; i < unhandled_count; i++) {
        if (JS_VALUE_GET_PTR(unhandled[i].promise) != JS_VALUE_GET_PTR(promise)) continue;
        JS_FreeValue(ctx, unhandled[i].promise);
        JS_FreeValue(ctx, unhandled[i].reason);
        unhandled[i] = unhandled[--unhandled_count];
        return;
    }
}

int sys_throw_unhandled(JSContext *ctx) {
    if (!unhandled_count) return 0;
    unhandled_count--;
    JS_FreeValue(ctx, unhandled[unhandled_count].promise);
    JS_Throw(ctx, unhandled[unhandled_count].reason);
    return -1;
}

// What the garbage collector may leave uncollected. It writes to every object that it looks at, and with that takes
// them out of what is shared with other processes; what is not part of a cycle goes without it.
#define GC_THRESHOLD_BYTES (4u << 20)

static JSContext *prepare(enum bundle bundle, const uint8_t *bytecode, size_t size) {
    struct arena *arena = arena_create(snapshot_address(bundle));
    if (!arena) {
        // Mostly a limit of the address space (ulimit -v), which is reserved here and not used.
        perror("reserve memory for JavaScript");
        return NULL;
    }
    JSRuntime *runtime = JS_NewRuntime2(&arena_functions, arena);
    if (!runtime) return NULL;
    JS_SetMaxStackSize(runtime, 1024 * 1024);
    JS_SetGCThreshold(runtime, GC_THRESHOLD_BYTES);
    JS_SetHostPromiseRejectionTracker(runtime, track_rejection, NULL);
    JSContext *ctx = JS_NewContextRaw(runtime);
    if (!ctx) return NULL;
    // Less than JS_NewContext: what no code here uses would take memory in every pod.
    JS_AddIntrinsicBaseObjects(ctx);
    JS_AddIntrinsicDate(ctx);
    JS_AddIntrinsicRegExp(ctx);
    JS_AddIntrinsicJSON(ctx);
    JS_AddIntrinsicMapSet(ctx);
    JS_AddIntrinsicTypedArrays(ctx);
    JS_AddIntrinsicPromise(ctx);
    *arena_root(arena) = ctx;
    if (add_sys(ctx) || (add_program_modules && add_program_modules(ctx))) return NULL;
    // The bundle's modules only define things; what it does is its global function main().
    JSValue module = JS_ReadObject(ctx, bytecode, size, JS_READ_OBJ_BYTECODE);
    if (JS_IsException(module) || JS_ResolveModule(ctx, module) < 0) return fail(ctx), NULL;
    JSValue result = JS_EvalFunction(ctx, module);
    if (JS_IsException(result)) return fail(ctx), NULL;
    if (JS_PromiseState(ctx, result) == JS_PROMISE_REJECTED) {
        JS_Throw(ctx, JS_PromiseResult(ctx, result));
        return fail(ctx), NULL;
    }
    JS_FreeValue(ctx, result);
    JS_RunGC(runtime);
    return ctx;
}

static JSContext *prepare_bundle(enum bundle bundle) {
    return bundle == COMMAND ? prepare(COMMAND, command_bytecode, command_bytecode_size)
                             : prepare(SERVER, server_bytecode, server_bytecode_size);
}

static enum bundle running;

// Calls the bundle's global function of that name.
static int run(enum bundle bundle, const char *name) {
    struct arena *arena = snapshot_map(bundle);
    JSContext *ctx = arena ? *arena_root(arena) : prepare_bundle(bundle);
    if (!ctx) return 1;
    running = bundle;
    if (bundle == SERVER) arena_keep_from_children(snapshot_address(SERVER));
    JS_UpdateStackTop(JS_GetRuntime(ctx));
    JSValue global = JS_GetGlobalObject(ctx);
    JSValue function = JS_GetPropertyStr(ctx, global, name);
    JSValue result = JS_Call(ctx, function, JS_UNDEFINED, 0, NULL);
    return JS_IsException(result) ? fail(ctx) : 0;
}

// Gives back the pages of the stack below this frame, which deeper calls have left dirty.
static void release_stack(void) {
    uint8_t here;
    uintptr_t page = 4096, top = (uintptr_t)&here & ~(page - 1);
    madvise((void *)(top - 256 * page), 255 * page, MADV_DONTNEED);
}

void sys_give_back_memory(void) {
    release_stack();
    arena_tidy(snapshot_address(running));
    snapshot_share(running);
}

struct sys_bequest sys_inheritance;
static jmp_buf main_frame;
enum beginning { AS_COMMAND, AS_SERVER, AS_CHILD };

void sys_become_server(char *text) {
    sys_inheritance.text = text;
    // The stack of the command goes, too.
    longjmp(main_frame, AS_SERVER);
}

void sys_become_child(const struct sys_bequest *bequest) {
    sys_inheritance = *bequest;
    longjmp(main_frame, AS_CHILD);
}

int sys_is_server(void) {
    return running == SERVER;
}

static int run_server(void) {
    arena_drop(snapshot_address(COMMAND));
    release_stack();
    return run(SERVER, "main");
}

static int run_child(void) {
    // They are of the server's runtime.
    unhandled_count = 0;
    return run(COMMAND, "child");
}

// --make-snapshot FILE, in the build: this program again, with its runtimes prepared.
static int make_snapshot(const char *path) {
    struct arena *arenas[BUNDLES];
    for (int bundle = 0; bundle < BUNDLES; bundle++) {
        if (!prepare_bundle(bundle)) return 1;
        arenas[bundle] = snapshot_address(bundle);
    }
    if (snapshot_write(path, arenas) == 0) return 0;
    perror(path);
    return 1;
}

int main(int argc, char **argv) {
    sys_argc = argc;
    sys_argv = argv;
    // A write to a peer that is gone is an error of that write, not the end of the process.
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && !strcmp(argv[1], "--make-snapshot")) return make_snapshot(argv[2]);
    switch (setjmp(main_frame)) {
    case AS_SERVER: return run_server();
    case AS_CHILD: return run_child();
    default: return run(COMMAND, "main");
    }
}
