// What only the first process of a virtual machine does, as the native module "guest".
#include "sys.h"
#include "program_modules.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

// loadModule(path, parameters): a kernel module that is there already is no error.
SYS_FUNCTION(load_module) {
    SYS_STRING(path, 0);
    SYS_STRING(parameters, 1);
    JSValue result = JS_UNDEFINED;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (syscall(SYS_finit_module, fd, parameters, 0) && errno != EEXIST)) result = sys_throw(ctx, "finit_module", path);
    if (fd >= 0) close(fd);
    JS_FreeCString(ctx, path);
    JS_FreeCString(ctx, parameters);
    return result;
}

// namesIn(path): what is in a folder; undefined if it is not there.
SYS_FUNCTION(names_in) {
    SYS_STRING(path, 0);
    DIR *folder = opendir(path);
    JSValue result = folder ? JS_NewArray(ctx) : errno == ENOENT ? JS_UNDEFINED : sys_throw(ctx, "opendir", path);
    JS_FreeCString(ctx, path);
    if (!folder) return result;
    uint32_t count = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] != '.') JS_SetPropertyUint32(ctx, result, count++, JS_NewString(ctx, entry->d_name));
    }
    closedir(folder);
    return result;
}

// netlink(request, length): one rtnetlink request with NLM_F_ACK, and the kernel's answer to it.
SYS_FUNCTION(netlink) {
    size_t length;
    JSValue zero = JS_NewInt32(ctx, 0);
    uint8_t *request = sys_bytes(ctx, argv[0], zero, argv[1], &length);
    if (!request) return JS_EXCEPTION;
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct nlmsghdr *header;
    uint8_t answer[8192];
    ssize_t got = -1;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd >= 0 && sendto(fd, request, length, 0, (struct sockaddr *)&kernel, sizeof kernel) == (ssize_t)length) {
        got = recv(fd, answer, sizeof answer, 0);
    }
    int number = errno;
    if (fd >= 0) close(fd);
    errno = number;
    if (got < (ssize_t)sizeof *header) return sys_throw(ctx, "netlink", NULL);
    header = (struct nlmsghdr *)answer;
    if (header->nlmsg_type == NLMSG_ERROR) {
        errno = -((struct nlmsgerr *)NLMSG_DATA(header))->error;
        if (errno) return sys_throw(ctx, "netlink", NULL);
    }
    return JS_NewArrayBufferCopy(ctx, answer, (size_t)got);
}

// setPipeSize(fd, bytes): how much the kernel keeps of what has been written and not read (pipe(7)).
SYS_FUNCTION(set_pipe_size) {
    SYS_INT(fd, 0);
    SYS_INT(bytes, 1);
    return fcntl(fd, F_SETPIPE_SZ, bytes) < 0 ? sys_throw(ctx, "fcntl", "F_SETPIPE_SZ") : JS_UNDEFINED;
}

// readAll(fd, buffer, offset, length): as read, of a non-blocking descriptor, and again until there is nothing, or no
// room: a virtio port gives a page at a time. -1 when there is nothing yet.
SYS_FUNCTION(read_all) {
    SYS_INT(fd, 0);
    size_t length, got = 0;
    uint8_t *bytes = sys_bytes(ctx, argv[1], argv[2], argv[3], &length);
    if (!bytes) return JS_EXCEPTION;
    while (got < length) {
        ssize_t part = read(fd, bytes + got, length - got);
        if (part > 0) got += (size_t)part;
        else if (part < 0 && errno == EINTR) continue;
        // An end or an error after some bytes comes again at the next call.
        else if (got > 0) break;
        else if (part == 0) return JS_NewInt32(ctx, 0);
        else if (errno == EAGAIN) return JS_NewInt32(ctx, -1);
        else return sys_throw(ctx, "read", NULL);
    }
    return JS_NewInt64(ctx, (int64_t)got);
}

// link(target, path): a symbolic link.
SYS_FUNCTION(make_link) {
    SYS_STRING(target, 0);
    SYS_STRING(path, 1);
    JSValue result = symlink(target, path) ? sys_throw(ctx, "symlink", path) : JS_UNDEFINED;
    JS_FreeCString(ctx, target);
    JS_FreeCString(ctx, path);
    return result;
}

// removePath(path): a file or an empty folder.
SYS_FUNCTION(remove_path) {
    SYS_STRING(path, 0);
    JSValue result = remove(path) ? sys_throw(ctx, "remove", path) : JS_UNDEFINED;
    JS_FreeCString(ctx, path);
    return result;
}

// setClock(seconds, nanoseconds) since 1970: at once where the clock is 100 ms off or more, else slowly, so that what is
// measured by it goes on.
#define SLOWLY_BELOW_US 100000
SYS_FUNCTION(set_clock) {
    int64_t seconds, nanoseconds;
    if (JS_ToInt64(ctx, &seconds, argv[0]) || JS_ToInt64(ctx, &nanoseconds, argv[1])) return JS_EXCEPTION;
    struct timespec now = {.tv_sec = seconds, .tv_nsec = nanoseconds}, ours;
    if (clock_gettime(CLOCK_REALTIME, &ours)) return sys_throw(ctx, "clock_gettime", NULL);
    int64_t off_us = (now.tv_sec - ours.tv_sec) * 1000000 + (now.tv_nsec - ours.tv_nsec) / 1000;
    if (off_us > -SLOWLY_BELOW_US && off_us < SLOWLY_BELOW_US) {
        struct timeval off = {.tv_sec = 0, .tv_usec = off_us};
        return adjtime(&off, NULL) ? sys_throw(ctx, "adjtime", NULL) : JS_UNDEFINED;
    }
    return clock_settime(CLOCK_REALTIME, &now) ? sys_throw(ctx, "clock_settime", NULL) : JS_UNDEFINED;
}

// listenVsock(port): a listening socket for the host's connections, non-blocking.
SYS_FUNCTION(listen_vsock) {
    SYS_INT(port, 0);
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = (unsigned)port};
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return sys_throw(ctx, "socket", "vsock");
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 16)) {
        JSValue error = sys_throw(ctx, "listen", "vsock");
        close(fd);
        return error;
    }
    return JS_NewInt32(ctx, fd);
}

// net/vmw_vsock/af_vsock.c: ports that take CAP_NET_BIND_SERVICE.
#define LAST_RESERVED_PORT 1023

// acceptVsock(listener): a non-blocking connection of the host's root, or -1 when none waits. A process in the guest has
// another context id, and one of the host's that is not root another port (LAST_RESERVED_PORT): their connections are closed.
SYS_FUNCTION(accept_vsock) {
    SYS_INT(listener, 0);
    for (;;) {
        struct sockaddr_vm peer;
        socklen_t size = sizeof peer;
        int fd = accept4(listener, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == ECONNABORTED || errno == EINTR)) continue;
        if (fd < 0) return errno == EAGAIN ? JS_NewInt32(ctx, -1) : sys_throw(ctx, "accept", "vsock");
        if (peer.svm_cid == VMADDR_CID_HOST && peer.svm_port <= LAST_RESERVED_PORT) return JS_NewInt32(ctx, fd);
        close(fd);
    }
}

// measureTscKhz(): of the processor's time stamp counter, in 1,000 counts a second; 0 where there is none.
SYS_FUNCTION(measure_tsc_khz) {
#ifdef __x86_64__
    struct timespec from, to, pause = {.tv_nsec = 20000000};
    clock_gettime(CLOCK_MONOTONIC_RAW, &from);
    uint64_t first = __builtin_ia32_rdtsc();
    nanosleep(&pause, NULL);
    clock_gettime(CLOCK_MONOTONIC_RAW, &to);
    uint64_t counts = __builtin_ia32_rdtsc() - first;
    int64_t nanoseconds = (to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
    return JS_NewInt64(ctx, (int64_t)((double)counts * 1e6 / (double)nanoseconds));
#else
    return JS_NewInt32(ctx, 0);
#endif
}

// raiseLimits(): for containers whose spec has none of its own, as a service manager has them raised for containerd.
SYS_FUNCTION(raise_limits) {
    struct rlimit files = {1048576, 1048576}, processes = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_NOFILE, &files) || setrlimit(RLIMIT_NPROC, &processes)) return sys_throw(ctx, "setrlimit", NULL);
    return JS_UNDEFINED;
}

// holdPidNamespace(): reaps whatever becomes an orphan in this process's pid namespace, until it is killed.
SYS_FUNCTION(hold_pid_namespace) {
    struct sigaction reap = {.sa_handler = SIG_IGN, .sa_flags = SA_NOCLDWAIT};
    if (sigaction(SIGCHLD, &reap, NULL)) return sys_throw(ctx, "sigaction", NULL);
    for (;;) pause();
}

// connectLocal(ipv6, port): a TCP connection to this machine's own address that is under way, non-blocking.
SYS_FUNCTION(connect_local) {
    int ipv6 = JS_ToBool(ctx, argv[0]);
    SYS_INT(port, 1);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return sys_throw(ctx, "socket", NULL);
    int failed = ipv6 ? connect(fd, (struct sockaddr *)&six, sizeof six) : connect(fd, (struct sockaddr *)&four, sizeof four);
    if (failed && errno != EINPROGRESS) {
        JSValue error = sys_throw(ctx, "connect", NULL);
        close(fd);
        return error;
    }
    return JS_NewInt32(ctx, fd);
}

// powerOff(): the end of the virtual machine.
SYS_FUNCTION(power_off) {
    sync();
    return reboot(RB_POWER_OFF) ? sys_throw(ctx, "reboot", NULL) : JS_UNDEFINED;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("loadModule", 2, load_module), JS_CFUNC_DEF("netlink", 2, netlink),
    JS_CFUNC_DEF("namesIn", 1, names_in),
    JS_CFUNC_DEF("setPipeSize", 2, set_pipe_size),
    JS_CFUNC_DEF("readAll", 4, read_all),
    JS_CFUNC_DEF("link", 2, make_link),         JS_CFUNC_DEF("removePath", 1, remove_path),
    JS_CFUNC_DEF("setClock", 2, set_clock),     JS_CFUNC_DEF("raiseLimits", 0, raise_limits),
    JS_CFUNC_DEF("holdPidNamespace", 0, hold_pid_namespace),
    JS_CFUNC_DEF("listenVsock", 1, listen_vsock), JS_CFUNC_DEF("acceptVsock", 1, accept_vsock),
    JS_CFUNC_DEF("powerOff", 0, power_off),
    JS_CFUNC_DEF("measureTscKhz", 0, measure_tsc_khz),
    JS_CFUNC_DEF("connectLocal", 2, connect_local),
};
#define COUNT (sizeof functions / sizeof *functions)

static int init(JSContext *ctx, JSModuleDef *module) {
    return JS_SetModuleExportList(ctx, module, functions, COUNT);
}

int add_program_modules(JSContext *ctx) {
    JSModuleDef *module = JS_NewCModule(ctx, "guest", init);
    return module ? JS_AddModuleExportList(ctx, module, functions, COUNT) : -1;
}
