// Unix sockets, and file descriptors sent over them.
#include "sys.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

static int unix_address(JSContext *ctx, const char *path, size_t length, struct sockaddr_un *address, socklen_t *size) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (length >= sizeof address->sun_path) {
        JS_ThrowRangeError(ctx, "the socket path %s has %u bytes, %u at most", path, (unsigned)length,
                           (unsigned)sizeof address->sun_path - 1);
        return -1;
    }
    memcpy(address->sun_path, path, length);
    *size = offsetof(struct sockaddr_un, sun_path) + length + 1;
    return 0;
}

// listen(path, backlog): a listening stream socket, mode 0600 from its first moment, non-blocking.
SYS_FUNCTION(sys_listen) {
    SYS_STRING(path, 0);
    SYS_INT(backlog, 1);
    struct sockaddr_un address;
    socklen_t size;
    JSValue result = JS_EXCEPTION;
    if (unix_address(ctx, path, path_length, &address, &size)) goto done;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        sys_throw(ctx, "socket", NULL);
        goto done;
    }
    mode_t mask = umask(0177);
    int failed = bind(fd, (struct sockaddr *)&address, size);
    umask(mask);
    if (failed || listen(fd, backlog)) {
        sys_throw(ctx, failed ? "bind" : "listen", path);
        close(fd);
        goto done;
    }
    result = JS_NewInt32(ctx, fd);
done:
    JS_FreeCString(ctx, path);
    return result;
}

// accept(fd): a non-blocking connection, or -1 when none waits.
SYS_FUNCTION(sys_accept) {
    SYS_INT(listener, 0);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) return sys_throw(ctx, "accept", NULL);
    return JS_NewInt32(ctx, fd);
}

// connect(path): a non-blocking connection. A unix socket connects at once or not at all.
SYS_FUNCTION(sys_connect) {
    SYS_STRING(path, 0);
    struct sockaddr_un address;
    socklen_t size;
    JSValue result = JS_EXCEPTION;
    if (unix_address(ctx, path, path_length, &address, &size)) goto done;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        sys_throw(ctx, "socket", NULL);
    } else if (connect(fd, (struct sockaddr *)&address, size)) {
        sys_throw(ctx, "connect", path);
        close(fd);
    } else {
        result = JS_NewInt32(ctx, fd);
    }
done:
    JS_FreeCString(ctx, path);
    return result;
}

// probe(path): throws ENOENT or ECONNREFUSED unless a process has the stream socket there. That process does not hear of
// it: a connection of another type is refused by the kernel, with an error that tells one which is there from a dead one.
SYS_FUNCTION(sys_probe) {
    SYS_STRING(path, 0);
    struct sockaddr_un address;
    socklen_t size;
    JSValue result = JS_EXCEPTION;
    if (unix_address(ctx, path, path_length, &address, &size)) goto done;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        sys_throw(ctx, "socket", NULL);
        goto done;
    }
    if (connect(fd, (struct sockaddr *)&address, size) && errno != EPROTOTYPE) sys_throw(ctx, "connect", path);
    else result = JS_UNDEFINED;
    close(fd);
done:
    JS_FreeCString(ctx, path);
    return result;
}

// peerUid(fd): the user at the other end.
SYS_FUNCTION(peer_uid) {
    SYS_INT(fd, 0);
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size)) return sys_throw(ctx, "getsockopt", "SO_PEERCRED");
    return JS_NewInt64(ctx, credentials.uid);
}

// receiveFd(fd): a file descriptor sent over the socket; -1 when nothing has come yet. Any further one is closed.
SYS_FUNCTION(receive_fd) {
    SYS_INT(fd, 0);
    char data[4096];
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * 8)];
    } control;
    struct iovec vector = {data, sizeof data};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (got < 0) return errno == EAGAIN ? JS_NewInt32(ctx, -1) : sys_throw(ctx, "recvmsg", NULL);
    int received = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        int count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < count; i++) {
            int one;
            memcpy(&one, CMSG_DATA(c) + i * sizeof(int), sizeof one);
            if (received < 0) received = one;
            else close(one);
        }
    }
    if (received < 0) return JS_ThrowTypeError(ctx, "a message without a file descriptor");
    return JS_NewInt32(ctx, received);
}

// connectVsock(cid, port): a non-blocking connection to a virtual machine, which may not be made yet: socketError tells
// when it can be written to. From a port that only root can have, by which the other side knows who comes.
#define LAST_RESERVED_PORT 1023
#define RESERVED_FROM 512
SYS_FUNCTION(connect_vsock) {
    int64_t cid, port;
    if (JS_ToInt64(ctx, &cid, argv[0]) || JS_ToInt64(ctx, &port, argv[1])) return JS_EXCEPTION;
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return sys_throw(ctx, "socket", "vsock");
    struct sockaddr_vm own = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY};
    int failed = -1;
    for (own.svm_port = LAST_RESERVED_PORT; failed && own.svm_port >= RESERVED_FROM; own.svm_port--) {
        failed = bind(fd, (struct sockaddr *)&own, sizeof own);
        if (failed && errno != EADDRINUSE) break;
    }
    struct sockaddr_vm other = {.svm_family = AF_VSOCK, .svm_cid = (unsigned)cid, .svm_port = (unsigned)port};
    if (failed || (connect(fd, (struct sockaddr *)&other, sizeof other) && errno != EINPROGRESS)) {
        JSValue error = sys_throw(ctx, failed ? "bind" : "connect", "vsock");
        close(fd);
        return error;
    }
    return JS_NewInt32(ctx, fd);
}

// socketError(fd): what a connection that was being made has come to; 0 for a success.
SYS_FUNCTION(socket_error) {
    SYS_INT(fd, 0);
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size)) return sys_throw(ctx, "getsockopt", "SO_ERROR");
    return JS_NewInt32(ctx, error);
}

const JSCFunctionListEntry sys_socket_functions[] = {
    JS_CFUNC_DEF("listen", 2, sys_listen),
    JS_CFUNC_DEF("accept", 1, sys_accept),
    JS_CFUNC_DEF("connect", 1, sys_connect),
    JS_CFUNC_DEF("probe", 1, sys_probe),
    JS_CFUNC_DEF("peerUid", 1, peer_uid),
    JS_CFUNC_DEF("receiveFd", 1, receive_fd),
    JS_CFUNC_DEF("connectVsock", 2, connect_vsock),
    JS_CFUNC_DEF("socketError", 1, socket_error),
};
const int sys_socket_count = sizeof sys_socket_functions / sizeof *sys_socket_functions;
