// fork, exec and wait: page tables, faults, context switches and new code. 300 times of this program, which is static;
// 100 times of one of the distribution's, which the dynamic linker loads at another address each time.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static uint64_t start(uint64_t processes, const char* path, char* const* arguments) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < processes; i++) {
        pid_t child = fork();
        if (child == 0) {
            int nowhere = open("/dev/null", O_WRONLY);
            if (nowhere >= 0) dup2(nowhere, STDOUT_FILENO);
            execv(path, arguments);
            _exit(127);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            fprintf(stderr, "bench: %s: status %#x\n", path, (unsigned)status);
            exit(1);
        }
        sum += (uint64_t)status + 1;
    }
    return sum;
}

static uint64_t run(unsigned scale) {
    char* arguments[] = {"bench", "nothing", NULL};
    return start(scaled(300, scale), "/proc/self/exe", arguments);
}

static uint64_t run_dynamic(unsigned scale) {
    char* arguments[] = {"gzip", "--version", NULL};
    return start(scaled(100, scale), "/usr/bin/gzip", arguments);
}

const struct Workload spawn = {"spawn", NULL, run};
const struct Workload spawn_dynamic = {"spawn_dynamic", NULL, run_dynamic};
