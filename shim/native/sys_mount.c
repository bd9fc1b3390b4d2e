// Mounts and roots.
#include "sys.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

// mount(source, target, type, flags, data)
SYS_FUNCTION(sys_mount) {
    SYS_STRING(source, 0);
    SYS_STRING(target, 1);
    SYS_STRING(type, 2);
    SYS_STRING(data, 4);
    int64_t flags;
    if (JS_ToInt64(ctx, &flags, argv[3])) return JS_EXCEPTION;
    int failed = mount(source, target, type, (unsigned long)flags, *data ? data : NULL);
    JSValue result = failed ? sys_throw(ctx, "mount", target) : JS_UNDEFINED;
    JS_FreeCString(ctx, source);
    JS_FreeCString(ctx, target);
    JS_FreeCString(ctx, type);
    JS_FreeCString(ctx, data);
    return result;
}

// unmount(target, flags)
SYS_FUNCTION(sys_unmount) {
    SYS_STRING(target, 0);
    SYS_INT(flags, 1);
    JSValue result = umount2(target, flags) ? sys_throw(ctx, "umount", target) : JS_UNDEFINED;
    JS_FreeCString(ctx, target);
    return result;
}

// pivotRoot(newRoot, oldRoot)
SYS_FUNCTION(sys_pivot_root) {
    SYS_STRING(to, 0);
    SYS_STRING(from, 1);
    JSValue result = syscall(SYS_pivot_root, to, from) ? sys_throw(ctx, "pivot_root", to) : JS_UNDEFINED;
    JS_FreeCString(ctx, to);
    JS_FreeCString(ctx, from);
    return result;
}

// Linux 5.2 and 5.12, stated here because the C library's headers may be older.
struct mount_attributes {
    uint64_t set, clear, propagation, userns_fd;
};
#define TREE_CLONE 1
#define TREE_CLOEXEC 02000000
#define PATH_EMPTY 0x1000
#define PATH_RECURSIVE 0x8000
#define MOVE_EMPTY_SOURCE 0x4

// detachMount(path, set, clear, recursive, propagation): a mount of a file or folder, with all mounts below it where asked,
// that is in no namespace; a fd. Attributes are MOUNT_ATTR_... of mount_setattr(2), propagation is MS_PRIVATE or MS_SLAVE.
SYS_FUNCTION(detach_mount) {
    SYS_STRING(path, 0);
    int64_t set = 0, clear = 0, propagation = 0;
    int recursive = 0;
    if (JS_ToInt64(ctx, &set, argv[1]) || JS_ToInt64(ctx, &clear, argv[2])) return JS_EXCEPTION;
    if (JS_ToInt32(ctx, &recursive, argv[3]) || JS_ToInt64(ctx, &propagation, argv[4])) return JS_EXCEPTION;
    JSValue result;
    unsigned deep = recursive ? PATH_RECURSIVE : 0;
    long fd = syscall(SYS_open_tree, AT_FDCWD, path, TREE_CLONE | TREE_CLOEXEC | deep);
    struct mount_attributes attributes = {.set = (uint64_t)set, .clear = (uint64_t)clear, .propagation = (uint64_t)propagation};
    if (fd < 0) {
        result = sys_throw(ctx, "open_tree", path);
    } else if (syscall(SYS_mount_setattr, fd, "", PATH_EMPTY | deep, &attributes, sizeof attributes)) {
        result = sys_throw(ctx, "mount_setattr", path);
        close((int)fd);
    } else {
        result = JS_NewInt32(ctx, (int)fd);
    }
    JS_FreeCString(ctx, path);
    return result;
}

// attachMount(fd, target)
SYS_FUNCTION(attach_mount) {
    SYS_INT(fd, 0);
    SYS_STRING(target, 1);
    long failed = syscall(SYS_move_mount, fd, "", AT_FDCWD, target, MOVE_EMPTY_SOURCE);
    JSValue result = failed ? sys_throw(ctx, "move_mount", target) : JS_UNDEFINED;
    JS_FreeCString(ctx, target);
    return result;
}

// isFolder(fd): whether what is open is one.
SYS_FUNCTION(is_folder) {
    SYS_INT(fd, 0);
    struct stat status;
    return fstat(fd, &status) ? sys_throw(ctx, "fstat", NULL) : JS_NewBool(ctx, S_ISDIR(status.st_mode));
}

SYS_FUNCTION(sys_chroot) {
    SYS_STRING(path, 0);
    JSValue result = chroot(path) ? sys_throw(ctx, "chroot", path) : JS_UNDEFINED;
    JS_FreeCString(ctx, path);
    return result;
}

// Linux 5.6, stated here because the C library's headers may be older.
struct open_manner {
    uint64_t flags, mode, resolve;
};
#define RESOLVE_WITHIN_ROOT 0x10

// resolveBelow(root, path): the path, with `root` as the root of all links on the way.
SYS_FUNCTION(resolve_below) {
    SYS_STRING(root, 0);
    SYS_STRING(path, 1);
    JSValue result;
    struct open_manner manner = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_WITHIN_ROOT};
    char link[32], found[PATH_MAX];
    int fd = -1, folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        result = sys_throw(ctx, "open", root);
    } else if ((fd = (int)syscall(SYS_openat2, folder, path, &manner, sizeof manner)) < 0) {
        result = sys_throw(ctx, "openat2", path);
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, found, sizeof found);
        result = length < 0 ? sys_throw(ctx, "readlink", link) : JS_NewStringLen(ctx, found, (size_t)length);
    }
    if (fd >= 0) close(fd);
    if (folder >= 0) close(folder);
    JS_FreeCString(ctx, root);
    JS_FreeCString(ctx, path);
    return result;
}

const JSCFunctionListEntry sys_mount_functions[] = {
    JS_CFUNC_DEF("detachMount", 5, detach_mount),
    JS_CFUNC_DEF("attachMount", 2, attach_mount),
    JS_CFUNC_DEF("isFolder", 1, is_folder),
    JS_CFUNC_DEF("chroot", 1, sys_chroot),
    JS_CFUNC_DEF("mount", 5, sys_mount),
    JS_CFUNC_DEF("resolveBelow", 2, resolve_below),
    JS_CFUNC_DEF("unmount", 2, sys_unmount),
    JS_CFUNC_DEF("pivotRoot", 2, sys_pivot_root),
    JS_PROP_INT32_DEF("MNT_DETACH", MNT_DETACH, JS_PROP_CONFIGURABLE),
    JS_PROP_INT32_DEF("UMOUNT_NOFOLLOW", UMOUNT_NOFOLLOW, JS_PROP_CONFIGURABLE),
};
const int sys_mount_count = sizeof sys_mount_functions / sizeof *sys_mount_functions;
