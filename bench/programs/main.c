// bench WORKLOAD [SCALE]           runs an own workload
// bench time NAME COMMAND...       runs a command, whose output goes to the file "output" here
// bench generate BYTES             writes text that compresses as text does
// The first two print "BENCH start NAME" when the clock starts, and "BENCH NAME NS CHECKSUM CPU_NS" when it has
// stopped: time that passed, the result, CPU time of the process and its children.
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static const struct Workload* const kWorkloads[] = {&mix,    &sha256, &sort_hash,    &bytecode, &fib,
                                                    &chase,  &copy,   &triad,        &nbody,    &mandelbrot,
                                                    &matmul, &spawn,  &spawn_dynamic};

_Noreturn static void fail(const char* what) {
    perror(what);
    exit(1);
}

void* allocate(uint64_t size) {
    // Not mmap: blocks that lie a power of two apart would measure nothing but conflicts in caches of translated
    // addresses.
    void* memory = calloc(size, 1);
    if (!memory) fail("bench: memory");
    return memory;
}

uint64_t hash_rounded(uint64_t hash, double value) {
    char text[32];
    int size = snprintf(text, sizeof text, "%.5e", value);
    return hash_bytes(hash, text, (uint64_t)size);
}

struct Moment {
    uint64_t wall_ns, cpu_ns;
};

static uint64_t cpu_ns_of(int who) {
    struct rusage usage;
    getrusage(who, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
}

static struct Moment now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (struct Moment){(uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec,
                           cpu_ns_of(RUSAGE_SELF) + cpu_ns_of(RUSAGE_CHILDREN)};
}

static struct Moment start(const char* name) {
    printf("BENCH start %s\n", name);
    fflush(stdout);
    return now();
}

static int report(const char* name, struct Moment began, struct Moment ended, uint64_t checksum) {
    printf("BENCH %s %" PRIu64 " %016" PRIx64 " %" PRIu64 "\n", name, ended.wall_ns - began.wall_ns, checksum,
           ended.cpu_ns - began.cpu_ns);
    return 0;
}

static int run_workload(const struct Workload* workload, unsigned scale) {
    if (workload->prepare) workload->prepare(scale);
    struct Moment began = start(workload->name);
    uint64_t checksum = workload->run(scale);
    return report(workload->name, began, now(), checksum);
}

static int time_command(const char* name, char** command) {
    int output = open("output", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (output < 0) fail("bench: output");
    struct Moment began = start(name);
    pid_t child = fork();
    if (child < 0) fail("bench: fork");
    if (child == 0) {
        dup2(output, STDOUT_FILENO);
        execvp(command[0], command);
        perror(command[0]);
        _exit(127);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "bench: %s: %s failed with status %#x\n", name, command[0], (unsigned)status);
        return 1;
    }
    struct Moment ended = now();
    uint8_t buffer[1 << 16];
    uint64_t hash = kHashStart;
    for (int64_t at = 0, size; (size = pread(output, buffer, sizeof buffer, at)) > 0; at += size)
        hash = hash_bytes(hash, buffer, (uint64_t)size);
    return report(name, began, ended, hash);
}

// Words of a vocabulary, frequent ones often, with numbers between; it repeats after 4 MiB.
static int generate(uint64_t bytes) {
    enum { kWords = 4096, kLongest = 12, kPeriod = 4 << 20 };
    static char words[kWords][kLongest + 1];
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < kWords; i++) {
        unsigned length = 2 + (unsigned)(next_random(&state) >> 33) % (kLongest - 1);
        for (unsigned k = 0; k < length; k++)
            words[i][k] = "etaoinshrdlucmfwypvbgkjqxz"[(next_random(&state) >> 40) % 26];
    }
    uint64_t size = bytes < kPeriod ? bytes : kPeriod, at = 0;
    char* text = allocate(size + 64);
    while (at < size) {
        uint64_t random = next_random(&state) >> 20;
        unsigned rank = (unsigned)(random % kWords) >> (random >> 12) % 12;  // half of them among the first few dozen
        at += (unsigned)(random >> 20) % 16 == 0 ? (unsigned)sprintf(text + at, "%" PRIu64 "\n", random >> 24 & 0xfffff)
                                                 : (unsigned)sprintf(text + at, "%s ", words[rank]);
    }
    for (uint64_t done = 0; done < bytes;) {
        uint64_t offset = done % size, left = size - offset < bytes - done ? size - offset : bytes - done;
        ssize_t written = write(STDOUT_FILENO, text + offset, left);
        if (written <= 0) fail("bench: write");
        done += (uint64_t)written;
    }
    return 0;
}

int main(int argc, char** argv) {
    if (argc == 2 && strcmp(argv[1], "nothing") == 0) return 0;  // what spawn starts
    if (argc >= 4 && strcmp(argv[1], "time") == 0) return time_command(argv[2], argv + 3);
    if (argc == 3 && strcmp(argv[1], "generate") == 0) return generate(strtoull(argv[2], NULL, 10));
    unsigned scale = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 100;
    for (unsigned i = 0; argc >= 2 && scale > 0 && i < sizeof kWorkloads / sizeof *kWorkloads; i++)
        if (strcmp(argv[1], kWorkloads[i]->name) == 0) return run_workload(kWorkloads[i], scale);
    fprintf(stderr, "usage: bench WORKLOAD [SCALE] | bench time NAME COMMAND... | bench generate BYTES\n");
    return 2;
}
