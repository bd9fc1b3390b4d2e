// What an event loop is made of: epoll, promise jobs, clocks, signals as file descriptors.
#include "sys.h"

#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>

static int epoll_fd = -1;

// openLoop(): a fresh epoll instance. A forked process must call it, or it would share its parent's.
SYS_FUNCTION(open_loop) {
    if (epoll_fd >= 0) close(epoll_fd);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return epoll_fd < 0 ? sys_throw(ctx, "epoll_create1", NULL) : JS_UNDEFINED;
}

// watch(fd, events): waits for events (EPOLLIN, ...) on fd; 0 takes it out. Level-triggered.
SYS_FUNCTION(watch) {
    SYS_INT(fd, 0);
    SYS_INT(events, 1);
    struct epoll_event event = {.events = (uint32_t)events, .data.fd = fd};
    int result;
    if (events == 0) {
        result = epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        if (result && (errno == ENOENT || errno == EBADF)) result = 0;
    } else {
        result = epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event);
        if (result && errno == ENOENT) result = epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
    return result ? sys_throw(ctx, "epoll_ctl", NULL) : JS_UNDEFINED;
}

// wait(timeoutMs): [fd, events, fd, events, ...]; an empty array at the timeout. -1 waits for ever.
SYS_FUNCTION(wait_events) {
    SYS_INT(timeout, 0);
    struct epoll_event events[64];
    int count = epoll_wait(epoll_fd, events, 64, timeout);
    if (count < 0 && errno != EINTR) return sys_throw(ctx, "epoll_wait", NULL);
    JSValue array = JS_NewArray(ctx);
    for (int i = 0; i < count; i++) {
        JS_SetPropertyUint32(ctx, array, 2 * i, JS_NewInt32(ctx, events[i].data.fd));
        JS_SetPropertyUint32(ctx, array, 2 * i + 1, JS_NewInt32(ctx, (int32_t)events[i].events));
    }
    return array;
}

// runJobs(): runs promise jobs until there are none; throws the reason of a rejection that nobody handled.
SYS_FUNCTION(run_jobs) {
    JSContext *job_ctx;
    int result;
    while ((result = JS_ExecutePendingJob(JS_GetRuntime(ctx), &job_ctx)) > 0) {
    }
    return result < 0 || sys_throw_unhandled(ctx) ? JS_EXCEPTION : JS_UNDEFINED;
}

// rest(): to be called when nothing has happened for a while. Gives memory back that is not used.
SYS_FUNCTION(rest) {
    sys_give_back_memory();
    return JS_UNDEFINED;
}

// monotonicMs(): milliseconds since some start, with fractions.
SYS_FUNCTION(monotonic_ms) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return JS_NewFloat64(ctx, now.tv_sec * 1e3 + now.tv_nsec / 1e6);
}

// realtime(): [seconds, nanoseconds] since 1970.
SYS_FUNCTION(realtime) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    JSValue pair = JS_NewArray(ctx);
    JS_SetPropertyUint32(ctx, pair, 0, JS_NewInt64(ctx, now.tv_sec));
    JS_SetPropertyUint32(ctx, pair, 1, JS_NewInt32(ctx, (int)now.tv_nsec));
    return pair;
}

// eventFd(): a non-blocking counter that the kernel can add to; 8 bytes are read from it at a time.
SYS_FUNCTION(event_fd) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? sys_throw(ctx, "eventfd", NULL) : JS_NewInt32(ctx, fd);
}

// signalFd([signals]): blocks them; a file descriptor that tells of each.
SYS_FUNCTION(signal_fd) {
    sigset_t set;
    sigemptyset(&set);
    int64_t length = sys_length(ctx, argv[0]);
    if (length < 0) return JS_EXCEPTION;
    for (int64_t i = 0; i < length; i++) {
        JSValue item = JS_GetPropertyUint32(ctx, argv[0], (uint32_t)i);
        int number;
        if (JS_ToInt32(ctx, &number, item)) return JS_EXCEPTION;
        sigaddset(&set, number);
    }
    if (sigprocmask(SIG_BLOCK, &set, NULL)) return sys_throw(ctx, "sigprocmask", NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? sys_throw(ctx, "signalfd", NULL) : JS_NewInt32(ctx, fd);
}

// readSignal(fd): the next signal's number, 0 when there is none.
SYS_FUNCTION(read_signal) {
    SYS_INT(fd, 0);
    struct signalfd_siginfo info;
    ssize_t got = read(fd, &info, sizeof info);
    if (got < 0 && errno != EAGAIN) return sys_throw(ctx, "read", "signalfd");
    return JS_NewInt32(ctx, got == sizeof info ? (int)info.ssi_signo : 0);
}

const JSCFunctionListEntry sys_loop_functions[] = {
    JS_CFUNC_DEF("openLoop", 0, open_loop),
    JS_CFUNC_DEF("watch", 2, watch),
    JS_CFUNC_DEF("wait", 1, wait_events),
    JS_CFUNC_DEF("runJobs", 0, run_jobs),
    JS_CFUNC_DEF("rest", 0, rest),
    JS_CFUNC_DEF("monotonicMs", 0, monotonic_ms),
    JS_CFUNC_DEF("realtime", 0, realtime),
    JS_CFUNC_DEF("eventFd", 0, event_fd),
    JS_CFUNC_DEF("signalFd", 1, signal_fd),
    JS_CFUNC_DEF("readSignal", 1, read_signal),
    JS_PROP_INT32_DEF("EPOLLIN", EPOLLIN, JS_PROP_CONFIGURABLE),
    JS_PROP_INT32_DEF("EPOLLOUT", EPOLLOUT, JS_PROP_CONFIGURABLE),
    JS_PROP_INT32_DEF("EPOLLHUP", EPOLLHUP, JS_PROP_CONFIGURABLE),
    JS_PROP_INT32_DEF("EPOLLERR", EPOLLERR, JS_PROP_CONFIGURABLE),
    JS_PROP_INT32_DEF("EPOLLPRI", EPOLLPRI, JS_PROP_CONFIGURABLE),
};
const int sys_loop_count = sizeof sys_loop_functions / sizeof *sys_loop_functions;
