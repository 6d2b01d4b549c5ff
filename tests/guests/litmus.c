// Litmus shapes between pairs of harts: message passing and store buffering. Each round runs a batch of instances,
// which both harts pass through without waiting for each other; what RVWMO forbids must be seen in none. Source: RISC-V
// unprivileged manual, appendix "RVWMO Explanatory Material".
#include "guest.h"

#ifndef ROUNDS
#define ROUNDS 100
#endif
#ifndef CPUS
#define CPUS 2
#endif
enum { kInstances = 256, kShapes = 5, kPairs = CPUS / 2 };

struct line {
    volatile uint64_t value;
    uint64_t unused[7];
};
struct instance {
    struct line x, y;
};
static struct instance instances[kPairs][kInstances] __attribute__((aligned(64)));
static uint64_t seen[CPUS][2][kInstances];
static struct line arrived[kPairs];
static uint64_t done;

// Both harts of the pair have come here.
static void meet(uint64_t pair, uint64_t* meetings) {
    __atomic_fetch_add(&arrived[pair].value, 1, __ATOMIC_SEQ_CST);
    *meetings += 2;
    while (__atomic_load_n(&arrived[pair].value, __ATOMIC_SEQ_CST) < *meetings) {
    }
}

// What each hart does with its two locations; the first operands are what was read.
#define MESSAGE_WRITE(a, b, x, y)                             \
    __asm__ volatile("sd %2, (%3)\n fence w, w\n sd %2, (%4)" \
                     : "=r"(a), "=r"(b)                       \
                     : "r"(1UL), "r"(x), "r"(y)               \
                     : "memor"                                \
                       "y")
#define MESSAGE_READ(a, b, x, y) \
    __asm__ volatile("ld %0, (%3)\n fence r, r\n ld %1, (%2)" : "=&r"(a), "=&r"(b) : "r"(x), "r"(y) : "memory")
#define BUFFER_FENCE(a, mine, other)                            \
    __asm__ volatile("sd %1, (%2)\n fence rw, rw\n ld %0, (%3)" \
                     : "=&r"(a)                                 \
                     : "r"(1UL), "r"(mine), "r"(other)          \
                     : "memor"                                  \
                       "y")
#define BUFFER_WRITE_READ(a, mine, other) \
    __asm__ volatile("sd %1, (%2)\n fence w, r\n ld %0, (%3)" : "=&r"(a) : "r"(1UL), "r"(mine), "r"(other) : "memory")
#define BUFFER_AMO(a, mine, other)                               \
    __asm__ volatile("amoswap.d.aq zero, %1, (%2)\n ld %0, (%3)" \
                     : "=&r"(a)                                  \
                     : "r"(1UL), "r"(mine), "r"(other)           \
                     : "memory")
// A release annotation orders the load behind earlier stores (PPO rule 6).
#define BUFFER_LR(a, mine, other) \
    __asm__ volatile("sd %1, (%2)\n lr.d.aqrl %0, (%3)" : "=&r"(a) : "r"(1UL), "r"(mine), "r"(other) : "memory")

static void run(uint64_t hart, int shape) {
    int second = hart & 1;
    struct instance* pair = instances[hart / 2];
    for (int i = 0; i < kInstances; i++) {
        volatile uint64_t *x = &pair[i].x.value, *y = &pair[i].y.value;
        volatile uint64_t *mine = second ? y : x, *other = second ? x : y;
        uint64_t a = 0, b = 0;
        switch (shape) {
            case 0:
                if (second) {
                    MESSAGE_READ(a, b, x, y);
                } else {
                    MESSAGE_WRITE(a, b, x, y);
                }
                break;
            case 1:
                BUFFER_FENCE(a, mine, other);
                break;
            case 2:
                BUFFER_WRITE_READ(a, mine, other);
                break;
            case 3:
                BUFFER_AMO(a, mine, other);
                break;
            default:
                BUFFER_LR(a, mine, other);
        }
        seen[hart][0][i] = a;
        seen[hart][1][i] = b;
    }
}

static void judge(uint64_t hart, int shape) {
    for (int i = 0; i < kInstances; i++) {
        uint64_t first = seen[hart][0][i], second = seen[hart + 1][0][i];
        if (shape == 0 && second == 1) expect_equal(seen[hart + 1][1][i], 1);
        if (shape > 0 && first == 0 && second == 0) fail(__FILE__, "store buffering: shape", (uint64_t)shape, 99);
    }
}

void secondary(uint64_t hart) {
    uint64_t meetings = 0, pair = hart / 2;
    for (int round = 0; round < ROUNDS; round++) {
        for (int shape = 0; shape < kShapes; shape++) {
            if (!(hart & 1)) {
                for (int i = 0; i < kInstances; i++) instances[pair][i].x.value = instances[pair][i].y.value = 0;
            }
            meet(pair, &meetings);
            run(hart, shape);
            meet(pair, &meetings);
            if (!(hart & 1)) judge(hart, shape);
        }
    }
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
}

int main(uint64_t hart) {
    secondary(hart);
    while (__atomic_load_n(&done, __ATOMIC_SEQ_CST) != CPUS) {
    }
    return 0;
}
