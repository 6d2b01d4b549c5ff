// A Linux program for the tests of networks:
//   datagrams ask ADDRESS PORT TEXT   sends TEXT, once a second, until an answer comes, and prints that
//   datagrams echo PORT               sends back what comes, for ever
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static void fail(const char* what) {
    perror(what);
    exit(1);
}

int main(int argc, char** argv) {
    char buffer[65536];
    int asks = argc == 5 && strcmp(argv[1], "ask") == 0;
    if (!asks && !(argc == 3 && strcmp(argv[1], "echo") == 0)) {
        fprintf(stderr, "usage: datagrams ask ADDRESS PORT TEXT | echo PORT\n");
        return 2;
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[asks ? 3 : 2]))};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0) fail("socket");
    if (asks) {
        struct timeval second = {.tv_sec = 1};
        if (inet_pton(AF_INET, argv[2], &address.sin_addr) != 1) fail(argv[2]);
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) != 0) fail("setsockopt");
        if (connect(fd, (struct sockaddr*)&address, sizeof address) != 0) fail("connect");
        ssize_t got = -1;
        while (got < 0) {
            if (send(fd, argv[4], strlen(argv[4]), 0) < 0) sleep(1);
            got = recv(fd, buffer, sizeof buffer, 0);
        }
        printf("%.*s\n", (int)got, buffer);
        return 0;
    }
    if (bind(fd, (struct sockaddr*)&address, sizeof address) != 0) fail("bind");
    while (1) {
        struct sockaddr_in from;
        socklen_t length = sizeof from;
        ssize_t got = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr*)&from, &length);
        if (got >= 0) sendto(fd, buffer, (size_t)got, 0, (struct sockaddr*)&from, length);
    }
}
