// Files, folders, pipes.
#include "sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

// A file read whole is at most this large: specs and state files, never data.
#define READ_FILE_LIMIT (64u << 20)

#define PATH_CALL(function, name, expression)                                        \
    SYS_FUNCTION(function) {                                                         \
        SYS_STRING(path, 0);                                                         \
        JSValue result = (expression) < 0 ? sys_throw(ctx, name, path) : JS_UNDEFINED; \
        JS_FreeCString(ctx, path);                                                   \
        return result;                                                               \
    }

PATH_CALL(sys_unlink, "unlink", unlink(path))
PATH_CALL(sys_chdir, "chdir", chdir(path))

// open(path, flags, mode): fd, always close-on-exec.
SYS_FUNCTION(sys_open) {
    SYS_STRING(path, 0);
    SYS_INT(flags, 1);
    SYS_INT(mode, 2);
    int fd;
    do fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    JSValue result = fd < 0 ? sys_throw(ctx, "open", path) : JS_NewInt32(ctx, fd);
    JS_FreeCString(ctx, path);
    return result;
}

SYS_FUNCTION(sys_close) {
    SYS_INT(fd, 0);
    return close(fd) && errno != EINTR ? sys_throw(ctx, "close", NULL) : JS_UNDEFINED;
}

// read(fd, buffer, offset, length): bytes read, 0 at the end, -1 when nothing is there yet.
SYS_FUNCTION(sys_read) {
    SYS_INT(fd, 0);
    size_t length;
    uint8_t *bytes = sys_bytes(ctx, argv[1], argv[2], argv[3], &length);
    if (!bytes) return JS_EXCEPTION;
    ssize_t got;
    do got = read(fd, bytes, length);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno != EAGAIN) return sys_throw(ctx, "read", NULL);
    return JS_NewInt32(ctx, (int)got);
}

// write(fd, buffer, offset, length): bytes written, -1 when none can be now.
SYS_FUNCTION(sys_write) {
    SYS_INT(fd, 0);
    size_t length;
    uint8_t *bytes = sys_bytes(ctx, argv[1], argv[2], argv[3], &length);
    if (!bytes) return JS_EXCEPTION;
    ssize_t put;
    do put = write(fd, bytes, length);
    while (put < 0 && errno == EINTR);
    if (put < 0 && errno != EAGAIN) return sys_throw(ctx, "write", NULL);
    return JS_NewInt32(ctx, (int)put);
}

static void free_bytes(JSRuntime *runtime, void *opaque, void *bytes) {
    js_free_rt(runtime, bytes);
}

// readFile(path): ArrayBuffer
SYS_FUNCTION(read_file) {
    SYS_STRING(path, 0);
    JSValue result = JS_EXCEPTION;
    size_t size = 0, room = 4096;
    uint8_t *bytes = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        sys_throw(ctx, "open", path);
        goto done;
    }
    struct stat status;
    if (!fstat(fd, &status) && S_ISREG(status.st_mode) && status.st_size >= (off_t)room) room = (size_t)status.st_size + 1;
    if (!(bytes = js_malloc(ctx, room))) goto done;
    for (;;) {
        if (size == room) {
            if (room >= READ_FILE_LIMIT) {
                errno = EFBIG;
                sys_throw(ctx, "read", path);
                goto done;
            }
            uint8_t *larger = js_realloc(ctx, bytes, room *= 2);
            if (!larger) goto done;
            bytes = larger;
        }
        ssize_t got = read(fd, bytes + size, room - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            sys_throw(ctx, "read", path);
            goto done;
        }
        if (got == 0) break;
        size += (size_t)got;
    }
    result = JS_NewArrayBuffer(ctx, bytes, size, free_bytes, NULL, 0);
    bytes = NULL;
done:
    if (fd >= 0) close(fd);
    js_free(ctx, bytes);
    JS_FreeCString(ctx, path);
    return result;
}

// writeFile(path, buffer, offset, length, flags, mode): the whole of it, or an error.
SYS_FUNCTION(write_file) {
    SYS_STRING(path, 0);
    SYS_INT(flags, 4);
    SYS_INT(mode, 5);
    JSValue result = JS_EXCEPTION;
    size_t length;
    uint8_t *bytes = sys_bytes(ctx, argv[1], argv[2], argv[3], &length);
    int fd = -1;
    if (!bytes) goto done;
    fd = open(path, flags | O_WRONLY | O_CLOEXEC, mode);
    if (fd < 0) {
        sys_throw(ctx, "open", path);
        goto done;
    }
    for (size_t at = 0; at < length;) {
        ssize_t put = write(fd, bytes + at, length - at);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) {
            sys_throw(ctx, "write", path);
            goto done;
        }
        at += (size_t)put;
    }
    result = JS_UNDEFINED;
done:
    if (fd >= 0) close(fd);
    JS_FreeCString(ctx, path);
    return result;
}

// stat(path): {mode, size, dev, ino, uid, gid, mtimeMs}, or null when there is no such file. Links are followed.
SYS_FUNCTION(sys_stat) {
    SYS_STRING(path, 0);
    struct stat status;
    JSValue result = JS_NULL;
    if (stat(path, &status) == 0) {
        result = JS_NewObject(ctx);
        JS_SetPropertyStr(ctx, result, "mode", JS_NewInt64(ctx, status.st_mode));
        JS_SetPropertyStr(ctx, result, "size", JS_NewInt64(ctx, status.st_size));
        JS_SetPropertyStr(ctx, result, "dev", JS_NewInt64(ctx, (int64_t)status.st_dev));
        JS_SetPropertyStr(ctx, result, "ino", JS_NewInt64(ctx, (int64_t)status.st_ino));
        JS_SetPropertyStr(ctx, result, "uid", JS_NewInt64(ctx, status.st_uid));
        JS_SetPropertyStr(ctx, result, "gid", JS_NewInt64(ctx, status.st_gid));
        JS_SetPropertyStr(ctx, result, "mtimeMs", JS_NewFloat64(ctx, status.st_mtim.tv_sec * 1e3 + status.st_mtim.tv_nsec / 1e6));
    } else if (errno != ENOENT && errno != ENOTDIR) {
        result = sys_throw(ctx, "stat", path);
    }
    JS_FreeCString(ctx, path);
    return result;
}

SYS_FUNCTION(sys_mkdir) {
    SYS_STRING(path, 0);
    SYS_INT(mode, 1);
    JSValue result = mkdir(path, mode) ? sys_throw(ctx, "mkdir", path) : JS_UNDEFINED;
    JS_FreeCString(ctx, path);
    return result;
}

// makeFifo(path, mode)
SYS_FUNCTION(make_fifo) {
    SYS_STRING(path, 0);
    SYS_INT(mode, 1);
    JSValue result = mkfifo(path, (mode_t)mode) ? sys_throw(ctx, "mkfifo", path) : JS_UNDEFINED;
    JS_FreeCString(ctx, path);
    return result;
}

SYS_FUNCTION(sys_rename) {
    SYS_STRING(from, 0);
    SYS_STRING(to, 1);
    JSValue result = rename(from, to) ? sys_throw(ctx, "rename", from) : JS_UNDEFINED;
    JS_FreeCString(ctx, from);
    JS_FreeCString(ctx, to);
    return result;
}

SYS_FUNCTION(sys_getcwd) {
    char path[4096];
    return getcwd(path, sizeof path) ? JS_NewString(ctx, path) : sys_throw(ctx, "getcwd", NULL);
}

// dup2(from, to): `to` stays open across an exec.
SYS_FUNCTION(sys_dup2) {
    SYS_INT(from, 0);
    SYS_INT(to, 1);
    // dup2 onto itself would keep close-on-exec.
    if (from == to) return fcntl(to, F_SETFD, 0) < 0 ? sys_throw(ctx, "fcntl", NULL) : JS_UNDEFINED;
    return dup2(from, to) < 0 ? sys_throw(ctx, "dup2", NULL) : JS_UNDEFINED;
}

// duplicate(fd): a close-on-exec copy, numbered 3 or higher.
SYS_FUNCTION(duplicate) {
    SYS_INT(fd, 0);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return copy < 0 ? sys_throw(ctx, "fcntl", NULL) : JS_NewInt32(ctx, copy);
}

// pipe(): [read end, write end], close-on-exec.
SYS_FUNCTION(sys_pipe) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return sys_throw(ctx, "pipe2", NULL);
    JSValue pair = JS_NewArray(ctx);
    JS_SetPropertyUint32(ctx, pair, 0, JS_NewInt32(ctx, ends[0]));
    JS_SetPropertyUint32(ctx, pair, 1, JS_NewInt32(ctx, ends[1]));
    return pair;
}

SYS_FUNCTION(set_nonblocking) {
    SYS_INT(fd, 0);
    SYS_INT(on, 1);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0) return sys_throw(ctx, "fcntl", NULL);
    return JS_UNDEFINED;
}

SYS_FUNCTION(sys_fchown) {
    SYS_INT(fd, 0);
    SYS_INT(uid, 1);
    SYS_INT(gid, 2);
    return fchown(fd, (uid_t)uid, (gid_t)gid) ? sys_throw(ctx, "fchown", NULL) : JS_UNDEFINED;
}

// splice(from, to, length): bytes moved within the kernel, 0 at the end, -1 when neither side is ready.
SYS_FUNCTION(sys_splice) {
    SYS_INT(from, 0);
    SYS_INT(to, 1);
    SYS_INT(length, 2);
    ssize_t moved;
    do moved = splice(from, NULL, to, NULL, (size_t)length, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (moved < 0 && errno == EINTR);
    if (moved < 0 && errno != EAGAIN) return sys_throw(ctx, "splice", NULL);
    return JS_NewInt32(ctx, (int)moved);
}

// unread(fd): how many bytes a FIFO or a pipe holds.
SYS_FUNCTION(sys_unread) {
    SYS_INT(fd, 0);
    int bytes;
    return ioctl(fd, FIONREAD, &bytes) ? sys_throw(ctx, "ioctl", "FIONREAD") : JS_NewInt32(ctx, bytes);
}

// setWindowSize(fd, rows, columns) of a terminal.
SYS_FUNCTION(set_window_size) {
    SYS_INT(fd, 0);
    SYS_INT(rows, 1);
    SYS_INT(columns, 2);
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    return ioctl(fd, TIOCSWINSZ, &size) ? sys_throw(ctx, "ioctl", "TIOCSWINSZ") : JS_UNDEFINED;
}

SYS_FUNCTION(sys_fchdir) {
    SYS_INT(fd, 0);
    return fchdir(fd) ? sys_throw(ctx, "fchdir", NULL) : JS_UNDEFINED;
}

// openTerminal(): [master, slave], close-on-exec. The slave comes from the master itself, wherever /dev/pts is.
SYS_FUNCTION(open_terminal) {
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0) return sys_throw(ctx, "open", "/dev/ptmx");
    int locked = 0, slave = -1;
    if (!ioctl(master, TIOCSPTLCK, &locked)) slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) {
        JSValue failed = sys_throw(ctx, "ioctl", "TIOCGPTPEER");
        close(master);
        return failed;
    }
    JSValue pair = JS_NewArray(ctx);
    JS_SetPropertyUint32(ctx, pair, 0, JS_NewInt32(ctx, master));
    JS_SetPropertyUint32(ctx, pair, 1, JS_NewInt32(ctx, slave));
    return pair;
}

// takeTerminal(fd): for a session's leader that has none.
SYS_FUNCTION(take_terminal) {
    SYS_INT(fd, 0);
    return ioctl(fd, TIOCSCTTY, 0) ? sys_throw(ctx, "ioctl", "TIOCSCTTY") : JS_UNDEFINED;
}

const JSCFunctionListEntry sys_file_functions[] = {
    JS_CFUNC_DEF("open", 3, sys_open),
    JS_CFUNC_DEF("close", 1, sys_close),
    JS_CFUNC_DEF("read", 4, sys_read),
    JS_CFUNC_DEF("write", 4, sys_write),
    JS_CFUNC_DEF("readFile", 1, read_file),
    JS_CFUNC_DEF("writeFile", 6, write_file),
    JS_CFUNC_DEF("stat", 1, sys_stat),
    JS_CFUNC_DEF("mkdir", 2, sys_mkdir),
    JS_CFUNC_DEF("unlink", 1, sys_unlink),
    JS_CFUNC_DEF("chdir", 1, sys_chdir),
    JS_CFUNC_DEF("makeFifo", 2, make_fifo),
    JS_CFUNC_DEF("rename", 2, sys_rename),
    JS_CFUNC_DEF("getcwd", 0, sys_getcwd),
    JS_CFUNC_DEF("dup2", 2, sys_dup2),
    JS_CFUNC_DEF("duplicate", 1, duplicate),
    JS_CFUNC_DEF("pipe", 0, sys_pipe),
    JS_CFUNC_DEF("setNonblocking", 2, set_nonblocking),
    JS_CFUNC_DEF("fchown", 3, sys_fchown),
    JS_CFUNC_DEF("splice", 3, sys_splice),
    JS_CFUNC_DEF("unread", 1, sys_unread),
    JS_CFUNC_DEF("setWindowSize", 3, set_window_size),
    JS_CFUNC_DEF("fchdir", 1, sys_fchdir),
    JS_CFUNC_DEF("openTerminal", 0, open_terminal),
    JS_CFUNC_DEF("takeTerminal", 1, take_terminal),
    JS_PROP_INT32_DEF("O_RDONLY", O_RDONLY, JS_PROP_CONFIGURABLE),
    JS_PROP_INT32_DEF("O_WRONLY", O_WRONLY, JS_PROP_CONFIGURABLE),
    JS_PROP_INT32_DEF("O_RDWR", O_RDWR, JS_PROP_CONFIGURABLE),
    JS_PROP_INT32_DEF("O_CREAT", O_CREAT, JS_PROP_CONFIGURABLE),
    JS_PROP_INT32_DEF("O_EXCL", O_EXCL, JS_PROP_CONFIGURABLE),
    JS_PROP_INT32_DEF("O_TRUNC", O_TRUNC, JS_PROP_CONFIGURABLE),
    JS_PROP_INT32_DEF("O_APPEND", O_APPEND, JS_PROP_CONFIGURABLE),
    JS_PROP_INT32_DEF("O_NONBLOCK", O_NONBLOCK, JS_PROP_CONFIGURABLE),
    JS_PROP_INT32_DEF("O_NOFOLLOW", O_NOFOLLOW, JS_PROP_CONFIGURABLE),
    JS_PROP_INT32_DEF("O_DIRECTORY", O_DIRECTORY, JS_PROP_CONFIGURABLE),
    JS_PROP_INT32_DEF("O_NOCTTY", O_NOCTTY, JS_PROP_CONFIGURABLE),
};
const int sys_file_count = sizeof sys_file_functions / sizeof *sys_file_functions;
