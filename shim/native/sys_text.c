// UTF-8, since QuickJS has no TextEncoder and TextDecoder.
#include "sys.h"

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

// decodeAscii(buffer, offset, length): string; undefined where a byte is not ASCII.
SYS_FUNCTION(decode_ascii) {
    size_t length;
    uint8_t *bytes = sys_bytes(ctx, argv[0], argv[1], argv[2], &length);
    if (!bytes) return JS_EXCEPTION;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] & 0x80) return JS_UNDEFINED;
    }
    return JS_NewStringLen(ctx, (const char *)bytes, length);
}

const JSCFunctionListEntry sys_text_functions[] = {
    JS_CFUNC_DEF("encodeUtf8", 1, encode_utf8),
    JS_CFUNC_DEF("decodeUtf8", 3, decode_utf8),
    JS_CFUNC_DEF("decodeAscii", 3, decode_ascii),
};
const int sys_text_count = sizeof sys_text_functions / sizeof *sys_text_functions;
