// TCP connections in another network namespace, which no process need be in to take them.
#include "sys.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define BACKLOG 16

static int bpf(int command, union bpf_attr *attributes) { return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes); }

// A listening socket, whatever its port: the program below gives it all connections. -1 with errno.
static int listen_anywhere(void) {
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), off = 0;
    if (fd < 0) fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    else setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (fd >= 0 && listen(fd, BACKLOG)) {
        close(fd);
        return -1;
    }
    return fd;
}

// The same in another network namespace; this thread is in its own again afterwards.
static int listen_in(int target, const char **failed) {
    int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    *failed = "setns";
    if (own < 0 || setns(target, CLONE_NEWNET)) {
        if (own >= 0) close(own);
        return -1;
    }
    *failed = "listen";
    int fd = listen_anywhere(), error = errno;
    // Who cannot come back must not go on.
    if (setns(own, CLONE_NEWNET)) abort();
    close(own);
    errno = error;
    return fd;
}

// A map whose only element is the socket.
static int socket_map(int listener) {
    union bpf_attr create = {.map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4, .value_size = 8, .max_entries = 1};
    int map = bpf(BPF_MAP_CREATE, &create);
    uint32_t key = 0;
    uint64_t value = (uint64_t)listener;
    union bpf_attr update = {.map_fd = (uint32_t)map, .key = (uint64_t)&key, .value = (uint64_t)&value};
    if (map >= 0 && bpf(BPF_MAP_UPDATE_ELEM, &update)) {
        int error = errno;
        close(map);
        errno = error;
        return -1;
    }
    return map;
}

#define INSTRUCTION(op, to, from, jump, value) {.code = (op), .dst_reg = (to), .src_reg = (from), .off = (jump), .imm = (value)}
#define COPY(to, from) INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0)
#define SET(to, value) INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value)
#define CALL(function) INSTRUCTION(BPF_JMP | BPF_CALL, 0, 0, 0, function)

// What the kernel asks for each new connection to an address of the namespace (BPF_PROG_TYPE_SK_LOOKUP, Linux 5.9): TCP
// ones are the socket's. https://docs.kernel.org/bpf/prog_sk_lookup.html
static int lookup_program(int map) {
    struct bpf_insn program[] = {
        COPY(BPF_REG_6, BPF_REG_1),
        INSTRUCTION(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_0, BPF_REG_6, offsetof(struct bpf_sk_lookup, protocol), 0),
        INSTRUCTION(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 14, IPPROTO_TCP),
        INSTRUCTION(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0),
        INSTRUCTION(BPF_LD | BPF_IMM | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map),
        {0},
        COPY(BPF_REG_2, BPF_REG_10),
        INSTRUCTION(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4),
        CALL(BPF_FUNC_map_lookup_elem),
        INSTRUCTION(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 7, 0),
        COPY(BPF_REG_7, BPF_REG_0),
        COPY(BPF_REG_1, BPF_REG_6),
        COPY(BPF_REG_2, BPF_REG_7),
        SET(BPF_REG_3, 0),
        CALL(BPF_FUNC_sk_assign),
        COPY(BPF_REG_1, BPF_REG_7),
        CALL(BPF_FUNC_sk_release),
        SET(BPF_REG_0, SK_PASS),
        INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
    };
    union bpf_attr load = {
        .prog_type = BPF_PROG_TYPE_SK_LOOKUP,
        .expected_attach_type = BPF_SK_LOOKUP,
        .insn_cnt = sizeof program / sizeof *program,
        .insns = (uint64_t)program,
        .license = (uint64_t)"Apache-2.0",
    };
    return bpf(BPF_PROG_LOAD, &load);
}

// listenInNetwork(path): takes every TCP connection to an address of the network namespace's own, whatever its port.
// [listener, link]: to be accepted from, and to be kept open meanwhile.
SYS_FUNCTION(listen_in_network) {
    SYS_STRING(path, 0);
    JSValue result = JS_EXCEPTION;
    const char *failed = "open";
    int listener = -1, map = -1, program = -1, link = -1;
    int target = open(path, O_RDONLY | O_CLOEXEC);
    if (target >= 0) listener = listen_in(target, &failed);
    if (listener >= 0) {
        failed = "bpf map";
        map = socket_map(listener);
    }
    if (map >= 0) {
        failed = "bpf program";
        program = lookup_program(map);
    }
    if (program >= 0) {
        failed = "bpf link";
        union bpf_attr attach = {.link_create = {.prog_fd = (uint32_t)program, .target_fd = (uint32_t)target, .attach_type = BPF_SK_LOOKUP}};
        link = bpf(BPF_LINK_CREATE, &attach);
    }
    if (link >= 0) {
        result = JS_NewArray(ctx);
        JS_SetPropertyUint32(ctx, result, 0, JS_NewInt32(ctx, listener));
        JS_SetPropertyUint32(ctx, result, 1, JS_NewInt32(ctx, link));
    } else {
        sys_throw(ctx, failed, path);
        if (listener >= 0) close(listener);
    }
    // The link keeps the program, and that the map.
    if (target >= 0) close(target);
    if (map >= 0) close(map);
    if (program >= 0) close(program);
    JS_FreeCString(ctx, path);
    return result;
}

// localPort(fd): the port that a connection was made to.
SYS_FUNCTION(local_port) {
    SYS_INT(fd, 0);
    struct sockaddr_in6 address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size)) return sys_throw(ctx, "getsockname", NULL);
    // At the same place in struct sockaddr_in.
    return JS_NewInt32(ctx, ntohs(address.sin6_port));
}

// endOutput(fd): the other end of the connection reads to the end of what was written.
SYS_FUNCTION(end_output) {
    SYS_INT(fd, 0);
    if (shutdown(fd, SHUT_WR) && errno != ENOTCONN) return sys_throw(ctx, "shutdown", NULL);
    return JS_UNDEFINED;
}

// resetConnection(fd): closes it so that the other end sees an error, not an end.
SYS_FUNCTION(reset_connection) {
    SYS_INT(fd, 0);
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
    return JS_UNDEFINED;
}

const JSCFunctionListEntry sys_network_functions[] = {
    JS_CFUNC_DEF("listenInNetwork", 1, listen_in_network),
    JS_CFUNC_DEF("localPort", 1, local_port),
    JS_CFUNC_DEF("endOutput", 1, end_output),
    JS_CFUNC_DEF("resetConnection", 1, reset_connection),
};
const int sys_network_count = sizeof sys_network_functions / sizeof *sys_network_functions;
