// UTF-8, since QuickJS has no TextEncoder and TextDecoder.
#include "sys.h"

static void free_bytes(JSRuntime *runtime, void *opaque, void *bytes) {
    js_free_rt(runtime, bytes);
}

// encodeUtf8(text): ArrayBuffer
SYS_FUNCTION(encode_utf8) {
    size_t length;
    const char *text = JS_ToCStringLen(ctx, &length, argv[0]);
    if (!text) return JS_EXCEPTION;
    JSValue buffer = JS_NewArrayBufferCopy(ctx, (const uint8_t *)text, length);
    JS_FreeCString(ctx, text);
    return buffer;
}

// decodeUtf8(buffer, offset, length): string. Malformed sequences become U+FFFD.
SYS_FUNCTION(decode_utf8) {
    size_t length;
    uint64_t count;
    if (JS_ToIndex(ctx, &count, argv[2])) return JS_EXCEPTION;
    if (count == 0) return JS_NewStringLen(ctx, "", 0);
    uint8_t *bytes = sys_bytes(ctx, argv[0], argv[1], argv[2], &length);
    if (!bytes) return JS_EXCEPTION;
    return JS_NewStringLen(ctx, (const char *)bytes, length);
}

// randomBytes(count): ArrayBuffer
SYS_FUNCTION(random_bytes) {
    SYS_INT(count, 0);
    if (count < 0 || count > 256) return JS_ThrowRangeError(ctx, "0 to 256 random bytes");
    uint8_t *bytes = js_malloc(ctx, count ? count : 1);
    if (!bytes) return JS_EXCEPTION;
    if (getentropy(bytes, count)) {
        js_free(ctx, bytes);
        return sys_throw(ctx, "getentropy", NULL);
    }
    return JS_NewArrayBuffer(ctx, bytes, count, free_bytes, NULL, 0);
}

const JSCFunctionListEntry sys_text_functions[] = {
    JS_CFUNC_DEF("encodeUtf8", 1, encode_utf8),
    JS_CFUNC_DEF("decodeUtf8", 3, decode_utf8),
    JS_CFUNC_DEF("randomBytes", 1, random_bytes),
};
const int sys_text_count = sizeof sys_text_functions / sizeof *sys_text_functions;
