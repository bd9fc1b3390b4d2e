// Processes: fork, exec, namespaces, credentials, exit statuses.
#include "sys.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

// Linux 6.15's pidfd interface, stated here because the C library's headers are older.
struct pidfd_exit_info {
    uint64_t mask;
    uint64_t cgroupid;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
    uint32_t coredump_mask, spare;
};
#define PIDFD_EXIT_INFO_MASK (1u << 3)
#define PIDFD_EXIT_INFO_IOCTL _IOWR(0xFF, 11, struct pidfd_exit_info)

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

// Linux 5.7, stated here because the C library's headers may be older.
struct clone_arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
#define CLONE_IN_CGROUP UINT64_C(0x200000000)

// clone() with CLONE_... flags, into the cgroup v2 folder that the fd `cgroup` is of (-1: none); 0 in the child, whose
// blocked signals are let through again.
static long clone_process(int flags, int cgroup) {
    struct clone_arguments arguments = {.flags = (uint32_t)flags, .exit_signal = SIGCHLD};
    if (flags & CLONE_PARENT) arguments.exit_signal = 0;
    if (cgroup >= 0) {
        arguments.flags |= CLONE_IN_CGROUP;
        arguments.cgroup = (uint64_t)cgroup;
    }
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
    }
    return pid;
}

// fork(flags, cgroup): not in a server, whose children have no JavaScript to go on with.
SYS_FUNCTION(sys_fork) {
    SYS_INT(flags, 0);
    SYS_INT(cgroup, 1);
    if (sys_is_server()) return JS_ThrowTypeError(ctx, "fork: a server's heap does not go with its children");
    long pid = clone_process(flags, cgroup);
    if (pid < 0) return sys_throw(ctx, "clone3", NULL);
    if (pid == 0) JS_UpdateStackTop(JS_GetRuntime(ctx));
    return JS_NewInt32(ctx, (int)pid);
}

// forkChild(flags, cgroup, text, bytes): in a server; the child begins with the command bundle's child(), and with nothing
// of the server's heap but what it is given here. So none of the heap's pages is copied, neither by it nor by the server.
SYS_FUNCTION(sys_fork_child) {
    SYS_INT(flags, 0);
    SYS_INT(cgroup, 1);
    SYS_STRING(text, 2);
    size_t size = 0;
    uint8_t *bytes = JS_GetArrayBuffer(ctx, &size, argv[3]);
    if (JS_HasException(ctx)) {
        JS_FreeCString(ctx, text);
        return JS_EXCEPTION;
    }
    struct sys_bequest bequest = {strdup(text), malloc(size + 1), size};
    JS_FreeCString(ctx, text);
    long pid = -1;
    errno = ENOMEM;
    if (bequest.text && bequest.bytes) {
        if (size) memcpy(bequest.bytes, bytes, size);
        pid = clone_process(flags, cgroup);
        if (pid == 0) sys_become_child(&bequest);
    }
    int number = errno;
    free(bequest.text);
    free(bequest.bytes);
    errno = number;
    return pid < 0 ? sys_throw(ctx, "clone3", NULL) : JS_NewInt32(ctx, (int)pid);
}

// The thread's own: it must take no lock, such as malloc's, that a fork beside it would leave taken in the child.
static char own_cgroup_procs[4096];

static void *write_own_pid(void *unused) {
    char text[16], *digit = text + sizeof text;
    for (int pid = getpid(); pid; pid /= 10) *--digit = (char)('0' + pid % 10);
    int fd = open(own_cgroup_procs, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    // Nothing depends on it: whoever moves a process later just waits longer.
    ssize_t ignored = write(fd, digit, (size_t)(text + sizeof text - digit));
    (void)ignored;
    close(fd);
    return NULL;
}

// hastenCgroupMoves(path of this process's own cgroup.procs): moving a process to another cgroup takes a lock whose
// first use after a pause waits for an RCU grace period, 5 to 15 ms. A move that moves nothing, in a thread of its
// own, begins that wait now, so that it is over when somebody (runc) gets to his. The path is that of the first call.
SYS_FUNCTION(hasten_cgroup_moves) {
    SYS_STRING(path, 0);
    if (!*own_cgroup_procs && path_length < sizeof own_cgroup_procs) memcpy(own_cgroup_procs, path, path_length);
    JS_FreeCString(ctx, path);
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_create(&thread, &attributes, write_own_pid, NULL);
    pthread_attr_destroy(&attributes);
    return JS_UNDEFINED;
}

// exec(path or fd, argv, env): does not come back. A fd is executed itself, whatever its path leads to now.
SYS_FUNCTION(sys_exec) {
    char **args = sys_string_vector(ctx, argv[1]);
    if (!args) return JS_EXCEPTION;
    char **env = sys_string_vector(ctx, argv[2]);
    if (!env) return JS_EXCEPTION;
    // An ignored SIGPIPE would be handed on, and surprise what we start.
    signal(SIGPIPE, SIG_DFL);
    if (JS_IsNumber(argv[0])) {
        SYS_INT(fd, 0);
        syscall(SYS_execveat, fd, "", args, env, 0x1000 /* AT_EMPTY_PATH */);
    } else {
        SYS_STRING(path, 0);
        execve(path, args, env);
    }
    return sys_throw(ctx, "exec", args[0]);
}

struct command {
    int program;
    const char *path, *cwd;
    char **args, **env;
    int stdio[3];
    const char *volatile failed_step;
    volatile int failed_errno;
};

// In a child that shares this process's memory, and that this process waits for: nothing here may allocate, or leave
// anything changed but what the parent looks at.
static void become_command(struct command *command) {
    const char *step = "prctl";
    sigset_t none;
    sigemptyset(&none);
    // As go-runc does: a command does not outlive whoever waits for it.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)) goto failed;
    step = "setpgid";
    if (setpgid(0, 0)) goto failed;
    step = "chdir";
    if (*command->cwd && chdir(command->cwd)) goto failed;
    step = "dup2";
    for (int fd = 0; fd < 3; fd++) {
        if (dup2(command->stdio[fd], fd) < 0) goto failed;
    }
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    step = "exec";
    if (command->program >= 0) syscall(SYS_execveat, command->program, "", command->args, command->env, 0x1000 /* AT_EMPTY_PATH */);
    else execve(command->path, command->args, command->env);
failed:
    command->failed_errno = errno;
    command->failed_step = step;
    _exit(127);
}

__attribute__((noinline)) static pid_t start_command(struct command *command) {
    pid_t pid = vfork();
    if (pid == 0) become_command(command);
    return pid;
}

// startCommand(program fd or -1, path, argv, env, cwd or "", [stdin, stdout, stderr]): pid, in a process group of its
// own. Without a fork's copy of all memory; an error of any step until the exec is thrown here. The stdio descriptors
// must be 3 or higher.
SYS_FUNCTION(sys_start_command) {
    struct command command = {0};
    JSValue result = JS_EXCEPTION;
    if (JS_ToInt32(ctx, &command.program, argv[0])) return JS_EXCEPTION;
    for (uint32_t i = 0; i < 3; i++) {
        JSValue fd = JS_GetPropertyUint32(ctx, argv[5], i);
        if (JS_ToInt32(ctx, &command.stdio[i], fd)) return JS_EXCEPTION;
    }
    size_t length;
    if ((command.path = sys_string(ctx, argv[1], &length)) && (command.cwd = sys_string(ctx, argv[4], &length)) &&
        (command.args = sys_string_vector(ctx, argv[2])) && (command.env = sys_string_vector(ctx, argv[3]))) {
        pid_t pid = start_command(&command);
        if (pid > 0 && !command.failed_step) {
            result = JS_NewInt32(ctx, pid);
        } else if (pid > 0) {
            while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
            }
            errno = command.failed_errno;
            result = sys_throw(ctx, command.failed_step, command.path);
        } else {
            result = sys_throw(ctx, "vfork", NULL);
        }
    }
    if (command.path) JS_FreeCString(ctx, command.path);
    if (command.cwd) JS_FreeCString(ctx, command.cwd);
    if (command.args) sys_free_string_vector(ctx, command.args);
    if (command.env) sys_free_string_vector(ctx, command.env);
    return result;
}

// exit(status): at once, without flushing or handlers.
SYS_FUNCTION(sys_exit) {
    SYS_INT(status, 0);
    _exit(status);
}

// waitChild(): [pid, exit status] of a child that has ended, 128 + signal when one ended it; null when there is none.
SYS_FUNCTION(wait_child) {
    int status;
    pid_t pid;
    do pid = waitpid(-1, &status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid == 0 || (pid < 0 && errno == ECHILD)) return JS_NULL;
    if (pid < 0) return sys_throw(ctx, "waitpid", NULL);
    int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    JSValue pair = JS_NewArray(ctx);
    JS_SetPropertyUint32(ctx, pair, 0, JS_NewInt32(ctx, pid));
    JS_SetPropertyUint32(ctx, pair, 1, JS_NewInt32(ctx, code));
    return pair;
}

SYS_FUNCTION(sys_kill) {
    SYS_INT(pid, 0);
    SYS_INT(number, 1);
    return kill(pid, number) ? sys_throw(ctx, "kill", NULL) : JS_UNDEFINED;
}

SYS_FUNCTION(pidfd_open_) {
    SYS_INT(pid, 0);
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? sys_throw(ctx, "pidfd_open", NULL) : JS_NewInt32(ctx, (int)fd);
}

SYS_FUNCTION(pidfd_signal) {
    SYS_INT(fd, 0);
    SYS_INT(number, 1);
    return syscall(SYS_pidfd_send_signal, fd, number, NULL, 0) ? sys_throw(ctx, "pidfd_send_signal", NULL) : JS_UNDEFINED;
}

// pidfdExitStatus(fd): as waitChild's, of a process that has ended, though it was no child; -1 where the kernel
// (before Linux 6.15) or the process cannot tell.
SYS_FUNCTION(pidfd_exit_status) {
    SYS_INT(fd, 0);
    struct pidfd_exit_info info = {.mask = PIDFD_EXIT_INFO_MASK};
    if (ioctl(fd, PIDFD_EXIT_INFO_IOCTL, &info) || !(info.mask & PIDFD_EXIT_INFO_MASK)) return JS_NewInt32(ctx, -1);
    int status = info.exit_code;
    return JS_NewInt32(ctx, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

SYS_FUNCTION(sys_getpid) { return JS_NewInt32(ctx, getpid()); }
SYS_FUNCTION(sys_getppid) { return JS_NewInt32(ctx, getppid()); }
SYS_FUNCTION(sys_getuid) { return JS_NewInt64(ctx, geteuid()); }

SYS_FUNCTION(sys_setsid) {
    return setsid() < 0 ? sys_throw(ctx, "setsid", NULL) : JS_UNDEFINED;
}

// prctl(option, argument)
SYS_FUNCTION(sys_prctl) {
    SYS_INT(option, 0);
    SYS_INT(argument, 1);
    return prctl(option, (unsigned long)argument, 0, 0, 0) < 0 ? sys_throw(ctx, "prctl", NULL) : JS_UNDEFINED;
}

SYS_FUNCTION(sys_setns) {
    SYS_INT(fd, 0);
    SYS_INT(type, 1);
    return setns(fd, type) ? sys_throw(ctx, "setns", NULL) : JS_UNDEFINED;
}

SYS_FUNCTION(sys_unshare) {
    SYS_INT(flags, 0);
    return unshare(flags) ? sys_throw(ctx, "unshare", NULL) : JS_UNDEFINED;
}

SYS_FUNCTION(set_hostname) {
    SYS_STRING(name, 0);
    JSValue result = sethostname(name, name_length) ? sys_throw(ctx, "sethostname", name) : JS_UNDEFINED;
    JS_FreeCString(ctx, name);
    return result;
}

SYS_FUNCTION(set_domainname) {
    SYS_STRING(name, 0);
    JSValue result = setdomainname(name, name_length) ? sys_throw(ctx, "setdomainname", name) : JS_UNDEFINED;
    JS_FreeCString(ctx, name);
    return result;
}

// setLimit(resource, soft, hard): -1 for none.
SYS_FUNCTION(set_limit) {
    SYS_INT(resource, 0);
    int64_t soft, hard;
    if (JS_ToInt64(ctx, &soft, argv[1]) || JS_ToInt64(ctx, &hard, argv[2])) return JS_EXCEPTION;
    struct rlimit limit = {
        .rlim_cur = soft < 0 ? RLIM_INFINITY : (rlim_t)soft,
        .rlim_max = hard < 0 ? RLIM_INFINITY : (rlim_t)hard,
    };
    return setrlimit(resource, &limit) ? sys_throw(ctx, "setrlimit", NULL) : JS_UNDEFINED;
}

// setUser(uid, gid, [additional gids]): of the whole process, for good.
SYS_FUNCTION(set_user) {
    int64_t uid, gid, count;
    if (JS_ToInt64(ctx, &uid, argv[0]) || JS_ToInt64(ctx, &gid, argv[1]) || (count = sys_length(ctx, argv[2])) < 0) return JS_EXCEPTION;
    if (count > 65536) return JS_ThrowRangeError(ctx, "65536 additional groups at most");
    gid_t *groups = js_malloc(ctx, sizeof(gid_t) * (size_t)(count + 1));
    if (!groups) return JS_EXCEPTION;
    for (int64_t i = 0; i < count; i++) {
        JSValue item = JS_GetPropertyUint32(ctx, argv[2], (uint32_t)i);
        int64_t group;
        if (JS_ToInt64(ctx, &group, item)) return JS_EXCEPTION;
        groups[i] = (gid_t)group;
    }
    int failed = setgroups((size_t)count, groups);
    js_free(ctx, groups);
    if (failed) return sys_throw(ctx, "setgroups", NULL);
    if (setresgid((gid_t)gid, (gid_t)gid, (gid_t)gid)) return sys_throw(ctx, "setresgid", NULL);
    if (setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid)) return sys_throw(ctx, "setresuid", NULL);
    return JS_UNDEFINED;
}

static uint64_t capability_mask(JSContext *ctx, JSValueConst list) {
    int64_t count = sys_length(ctx, list);
    uint64_t mask = 0;
    for (int64_t i = 0; i < count; i++) {
        JSValue item = JS_GetPropertyUint32(ctx, list, (uint32_t)i);
        int number = -1;
        JS_ToInt32(ctx, &number, item);
        if (number >= 0 && number < 64) mask |= UINT64_C(1) << number;
    }
    return mask;
}

// limitBounding([capabilities]): takes every other capability out of the bounding set.
SYS_FUNCTION(limit_bounding) {
    uint64_t keep = capability_mask(ctx, argv[0]);
    for (int number = 0; number < 64; number++) {
        if (keep >> number & 1) continue;
        // EINVAL is the first number that this kernel does not have.
        if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) && errno == EINVAL) break;
        else if (errno == EPERM && prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1) return sys_throw(ctx, "prctl", "PR_CAPBSET_DROP");
    }
    return JS_UNDEFINED;
}

// setCapabilities([capabilities]): the effective and permitted sets; none are inherited.
SYS_FUNCTION(set_capabilities) {
    uint64_t keep = capability_mask(ctx, argv[0]);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)keep, .permitted = (uint32_t)keep},
        {.effective = (uint32_t)(keep >> 32), .permitted = (uint32_t)(keep >> 32)},
    };
    return syscall(SYS_capset, &header, data) ? sys_throw(ctx, "capset", NULL) : JS_UNDEFINED;
}

// setSeccomp(filter): an ArrayBuffer of instructions, struct sock_filter each, for this thread and all that it starts.
SYS_FUNCTION(set_seccomp) {
    size_t length;
    uint8_t *bytes = JS_GetArrayBuffer(ctx, &length, argv[0]);
    if (!bytes) return JS_EXCEPTION;
    struct sock_fprog program = {.len = (unsigned short)(length / sizeof(struct sock_filter)), .filter = (struct sock_filter *)bytes};
    if (length % sizeof(struct sock_filter) || length / sizeof(struct sock_filter) > BPF_MAXINSNS) {
        return JS_ThrowRangeError(ctx, "a filter of %u bytes: expected whole instructions, %u at most", (unsigned)length, BPF_MAXINSNS);
    }
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ? sys_throw(ctx, "seccomp", NULL) : JS_UNDEFINED;
}

// keepOnly([fds]): closes every other file descriptor from 3 on. The fds must be in order.
SYS_FUNCTION(keep_only) {
    int64_t count = sys_length(ctx, argv[0]);
    if (count < 0) return JS_EXCEPTION;
    unsigned next = 3;
    for (int64_t i = 0; i <= count; i++) {
        int fd = -1;
        if (i < count && JS_ToInt32(ctx, &fd, JS_GetPropertyUint32(ctx, argv[0], (uint32_t)i))) return JS_EXCEPTION;
        unsigned last = i < count ? (unsigned)fd - 1 : ~0u;
        if (i < count && fd < (int)next) continue;
        if (next <= last && syscall(SYS_close_range, next, last, 0)) return sys_throw(ctx, "close_range", NULL);
        next = (unsigned)fd + 1;
    }
    return JS_UNDEFINED;
}

// becomeServer(text): the server begins, with nothing of this program's memory but the text. Does not come back.
SYS_FUNCTION(become_server) {
    SYS_STRING(text, 0);
    char *copy = strdup(text);
    if (!copy) return JS_ThrowOutOfMemory(ctx);
    sys_become_server(copy);
}

// inheritance(): what the command gave to becomeServer, or a server to forkChild.
SYS_FUNCTION(inheritance) {
    return JS_NewString(ctx, sys_inheritance.text ? sys_inheritance.text : "");
}

// inheritedBytes(): an ArrayBuffer of those that a server gave to forkChild.
SYS_FUNCTION(inherited_bytes) {
    return JS_NewArrayBufferCopy(ctx, sys_inheritance.bytes, sys_inheritance.size);
}

SYS_FUNCTION(sys_environ) {
    JSValue list = JS_NewArray(ctx);
    for (uint32_t i = 0; environ[i]; i++) JS_SetPropertyUint32(ctx, list, i, JS_NewString(ctx, environ[i]));
    return list;
}

// arguments(): this program's, its own name first.
SYS_FUNCTION(sys_arguments) {
    JSValue list = JS_NewArray(ctx);
    for (int i = 0; i < sys_argc; i++) JS_SetPropertyUint32(ctx, list, (uint32_t)i, JS_NewString(ctx, sys_argv[i]));
    return list;
}

// dropLastArgument(): hides the last argument (a subcommand that is done) from ps.
SYS_FUNCTION(drop_last_argument) {
    if (sys_argc > 1) {
        char *last = sys_argv[--sys_argc];
        memset(last, 0, strlen(last));
    }
    return JS_UNDEFINED;
}

const JSCFunctionListEntry sys_process_functions[] = {
    JS_CFUNC_DEF("fork", 2, sys_fork),
    JS_CFUNC_DEF("forkChild", 4, sys_fork_child),
    JS_CFUNC_DEF("hastenCgroupMoves", 1, hasten_cgroup_moves),
    JS_CFUNC_DEF("exec", 3, sys_exec),
    JS_CFUNC_DEF("startCommand", 6, sys_start_command),
    JS_CFUNC_DEF("exit", 1, sys_exit),
    JS_CFUNC_DEF("waitChild", 0, wait_child),
    JS_CFUNC_DEF("kill", 2, sys_kill),
    JS_CFUNC_DEF("pidfdOpen", 1, pidfd_open_),
    JS_CFUNC_DEF("pidfdSignal", 2, pidfd_signal),
    JS_CFUNC_DEF("pidfdExitStatus", 1, pidfd_exit_status),
    JS_CFUNC_DEF("getpid", 0, sys_getpid),
    JS_CFUNC_DEF("getppid", 0, sys_getppid),
    JS_CFUNC_DEF("getuid", 0, sys_getuid),
    JS_CFUNC_DEF("setsid", 0, sys_setsid),
    JS_CFUNC_DEF("prctl", 2, sys_prctl),
    JS_CFUNC_DEF("setns", 2, sys_setns),
    JS_CFUNC_DEF("unshare", 1, sys_unshare),
    JS_CFUNC_DEF("setHostname", 1, set_hostname),
    JS_CFUNC_DEF("setDomainname", 1, set_domainname),
    JS_CFUNC_DEF("setLimit", 3, set_limit),
    JS_CFUNC_DEF("setUser", 3, set_user),
    JS_CFUNC_DEF("limitBounding", 1, limit_bounding),
    JS_CFUNC_DEF("setCapabilities", 1, set_capabilities),
    JS_CFUNC_DEF("setSeccomp", 1, set_seccomp),
    JS_CFUNC_DEF("keepOnly", 1, keep_only),
    JS_CFUNC_DEF("becomeServer", 1, become_server),
    JS_CFUNC_DEF("inheritance", 0, inheritance),
    JS_CFUNC_DEF("inheritedBytes", 0, inherited_bytes),
    JS_CFUNC_DEF("environ", 0, sys_environ),
    JS_CFUNC_DEF("arguments", 0, sys_arguments),
    JS_CFUNC_DEF("dropLastArgument", 0, drop_last_argument),
};
const int sys_process_count = sizeof sys_process_functions / sizeof *sys_process_functions;
