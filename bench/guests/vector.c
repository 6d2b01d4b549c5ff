// Vectors (RVV 1.0): copy, saxpy in both widths, a masked integer loop and a sum, over arrays that fit the host's
// caches. With SHAPE only one of them, numbered as in `shapes`.
#include "report.h"

enum { kBytes = 16 << 10 };
static uint8_t from[kBytes] __attribute__((aligned(64))), to[kBytes] __attribute__((aligned(64)));

#define VECTOR ".option push\n.option arch, +v\n"
#define END "\n.option pop"

static uint64_t copy(void) {
    const uint8_t* a = from;
    uint8_t* b = to;
    uint64_t left = kBytes, n;
    __asm__ volatile(VECTOR
                     "1: vsetvli %0, %1, e8, m8, ta, ma\n"
                     "vle8.v v8, (%2)\n"
                     "sub %1, %1, %0\n"
                     "add %2, %2, %0\n"
                     "vse8.v v8, (%3)\n"
                     "add %3, %3, %0\n"
                     "bnez %1, 1b" END
                     : "=&r"(n), "+r"(left), "+r"(a), "+r"(b)::"memory");
    return to[kBytes - 1];
}

#define DEFINE_AXPY(name, type, width, shift)                     \
    static uint64_t name(void) {                                  \
        const uint8_t* a = from;                                  \
        uint8_t* b = to;                                          \
        uint64_t left = kBytes / sizeof(type), n;                 \
        __asm__ volatile(VECTOR "1: vsetvli %0, %1, e" width      \
                                ", m4, ta, ma\n"                  \
                                "vle" width                       \
                                ".v v8, (%2)\n"                   \
                                "vle" width                       \
                                ".v v16, (%3)\n"                  \
                                "sub %1, %1, %0\n"                \
                                "slli %0, %0, " shift             \
                                "\n"                              \
                                "add %2, %2, %0\n"                \
                                "vfmacc.vf v16, %4, v8\n"         \
                                "vse" width                       \
                                ".v v16, (%3)\n"                  \
                                "add %3, %3, %0\n"                \
                                "bnez %1, 1b" END                 \
                         : "=&r"(n), "+r"(left), "+r"(a), "+r"(b) \
                         : "f"((type)0.5)                         \
                         : "memory");                             \
        return to[kBytes - 1];                                    \
    }
DEFINE_AXPY(saxpy, float, "32", "2")
DEFINE_AXPY(daxpy, double, "64", "3")

// Where an element is less than 64 it is doubled, and all are exclusively or'ed with what was there; one register each.
static uint64_t masked(void) {
    const uint8_t* a = from;
    uint8_t* b = to;
    uint64_t left = kBytes / 4, n;
    __asm__ volatile(VECTOR
                     "1: vsetvli %0, %1, e32, m1, ta, mu\n"
                     "vle32.v v8, (%2)\n"
                     "vle32.v v16, (%3)\n"
                     "sub %1, %1, %0\n"
                     "slli %0, %0, 2\n"
                     "vmsltu.vx v0, v8, %4\n"
                     "add %2, %2, %0\n"
                     "vadd.vv v8, v8, v8, v0.t\n"
                     "vxor.vv v16, v16, v8\n"
                     "vse32.v v16, (%3)\n"
                     "add %3, %3, %0\n"
                     "bnez %1, 1b" END
                     : "=&r"(n), "+r"(left), "+r"(a), "+r"(b)
                     : "r"(1UL << 30)
                     : "memory");
    return to[kBytes - 1];
}

static uint64_t sum(void) {
    const uint8_t* a = from;
    uint64_t left = kBytes / 4, n, result;
    __asm__ volatile(VECTOR
                     "vsetvli %0, zero, e32, m2, ta, ma\n"
                     "vmv.v.i v16, 0\n"
                     "1: vsetvli %0, %1, e32, m2, tu, ma\n"
                     "vle32.v v8, (%2)\n"
                     "sub %1, %1, %0\n"
                     "slli %0, %0, 2\n"
                     "add %2, %2, %0\n"
                     "vmul.vv v24, v8, v8\n"
                     "vadd.vv v16, v16, v24\n"
                     "bnez %1, 1b\n"
                     "vsetvli %0, zero, e32, m2, ta, ma\n"
                     "vmv.s.x v8, zero\n"
                     "vredsum.vs v8, v16, v8\n"
                     "vmv.x.s %3, v8" END
                     : "=&r"(n), "+r"(left), "+r"(a), "=r"(result)::"memory");
    return result;
}

static uint64_t (*const shapes[])(void) = {copy, saxpy, daxpy, masked, sum};
enum { kShapes = sizeof shapes / sizeof shapes[0] };

static uint64_t work(void) {
    uint64_t result = 0;
    csr_set(mstatus, 1UL << 9);  // VS: vectors on
    for (uint64_t i = 0; i < kBytes; i++) from[i] = (uint8_t)(i * 7), to[i] = (uint8_t)(i * 3);
    for (int round = 0; round < ROUNDS; round++) {
#ifdef SHAPE
        result = result * 31 + shapes[SHAPE]();
#else
        for (unsigned i = 0; i < kShapes; i++) result = result * 31 + shapes[i]();
#endif
    }
    return result;
}

int main(uint64_t hart) {
    return report(hart, work);
}
