// A Linux program for the tests of vsock: moves bytes that both ends can compute.
//   vsock serve PORT COUNT   accepts COUNT connections at once, each of which sends bytes until it says that it ends and gets
//                            them back, each one more than it was
//   vsock send PORT BYTES    connects to the host, sends BYTES bytes of a pattern and says what came back: bytes and sum
//   vsock hang PORT          connects to the host and says that the connection ended
#include <sys/socket.h>  // the next one needs it
#include <linux/vm_sockets.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char* what) {
    perror(what);
    exit(1);
}

static struct sockaddr_vm address(unsigned cid, const char* port) {
    struct sockaddr_vm a = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = (unsigned)strtoul(port, 0, 10)};
    return a;
}

static void write_all(int fd, const uint8_t* from, size_t bytes) {
    while (bytes > 0) {
        ssize_t n = write(fd, from, bytes);
        if (n <= 0) fail("write");
        from += n;
        bytes -= (size_t)n;
    }
}

static void echo(int fd) {
    static uint8_t piece[65536];
    ssize_t n;
    while ((n = read(fd, piece, sizeof piece)) > 0) {
        for (ssize_t i = 0; i < n; i++) piece[i]++;
        write_all(fd, piece, (size_t)n);
    }
    if (n < 0) fail("read");
    close(fd);
}

static int serve(const char* port, int count) {
    int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
    struct sockaddr_vm a = address(VMADDR_CID_ANY, port);
    if (listener < 0 || bind(listener, (struct sockaddr*)&a, sizeof a) != 0 || listen(listener, 64) != 0) fail("listen");
    puts("listening");
    fflush(stdout);
    for (int i = 0; i < count; i++) {
        int fd = accept(listener, 0, 0);
        if (fd < 0) fail("accept");
        if (fork() == 0) {
            echo(fd);
            _exit(0);
        }
        close(fd);
    }
    int failed = 0, status;
    while (wait(&status) > 0) failed |= status;
    puts(failed ? "failed" : "served");
    return failed != 0;
}

static int connect_to_host(const char* port) {
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    struct sockaddr_vm a = address(VMADDR_CID_HOST, port);
    if (fd < 0 || connect(fd, (struct sockaddr*)&a, sizeof a) != 0) fail("connect");
    return fd;
}

static int send_pattern(const char* port, size_t bytes) {
    static uint8_t piece[65536];
    int fd = connect_to_host(port);
    pid_t child = fork();
    if (child == 0) {
        for (size_t at = 0; at < bytes;) {
            size_t n = bytes - at < sizeof piece ? bytes - at : sizeof piece;
            for (size_t i = 0; i < n; i++) piece[i] = (uint8_t)((at + i) * 2654435761u >> 24);
            write_all(fd, piece, n);
            at += n;
        }
        shutdown(fd, SHUT_WR);
        _exit(0);
    }
    uint64_t count = 0, sum = 0;
    ssize_t n;
    while ((n = read(fd, piece, sizeof piece)) > 0) {
        for (ssize_t i = 0; i < n; i++) sum = sum * 31 + piece[i];
        count += (uint64_t)n;
    }
    if (n < 0) fail("read");
    int status;
    waitpid(child, &status, 0);
    printf("got %llu bytes, sum %llx\n", (unsigned long long)count, (unsigned long long)sum);
    return status != 0;
}

static int hang(const char* port) {
    int fd = connect_to_host(port);
    puts("connected");
    fflush(stdout);
    char c;
    printf("ended %zd\n", read(fd, &c, 1));
    return 0;
}

int main(int count, char** words) {
    if (count == 4 && strcmp(words[1], "serve") == 0) return serve(words[2], atoi(words[3]));
    if (count == 4 && strcmp(words[1], "send") == 0) return send_pattern(words[2], strtoul(words[3], 0, 10));
    if (count == 3 && strcmp(words[1], "hang") == 0) return hang(words[2]);
    return 2;
}
