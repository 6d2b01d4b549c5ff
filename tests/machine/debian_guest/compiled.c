// A program of many kinds of code, whose output is to be the same wherever and however it is compiled: integers of all
// widths, floats with their flags and roundings, long doubles (which riscv64 computes in software), threads, atomics,
// computed goto, calls by pointer, signals and jumps out of them.
#include <complex.h>
#include <fenv.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 0x9e3779b97f4a7c15;
static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0xff51afd7ed558ccd;
    return hash ^ hash >> 29;
}
static uint64_t bits_of(double value) {
    if (isnan(value)) return 0x7ff8000000000000;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t integers(void) {
    uint64_t hash = 0;
    for (int i = 0; i < 20000; i++) {
        uint64_t a = next(), b = next() >> (next() & 63);
        unsigned by = b & 63;
        hash = mix(hash, a + b);
        hash = mix(hash, a << by | a >> (-by & 63));
        hash = mix(hash, (uint64_t)((int64_t)a >> by));
        hash = mix(hash, (uint64_t)((unsigned __int128)a * b >> 64));
        hash = mix(hash, (uint64_t)((__int128)(int64_t)a * (int64_t)b >> 64));
        hash = mix(hash, b ? a / b + a % b : a);
        hash = mix(hash, (uint64_t)(int64_t)((int32_t)a / ((int32_t)b | 1)));
        hash = mix(hash, (uint64_t)__builtin_popcountll(a) << 16 | (uint64_t)__builtin_ctzll(a | 1) << 8 | (uint8_t)a);
        hash = mix(hash, (uint64_t)((int16_t)a * (int8_t)b));
        hash = mix(hash, __builtin_bswap64(a) ^ (a < b) ^ ((int64_t)a < (int64_t)b));
    }
    return hash;
}

// Volatile, so that no compiler computes, contracts or reorders what the rounding is for.
static uint64_t floats(int rounding) {
    uint64_t hash = 0;
    fesetround(rounding);
    feclearexcept(FE_ALL_EXCEPT);
    for (int i = 0; i < 5000; i++) {
        volatile double a = ldexp((double)(int64_t)next(), (int)(next() % 200) - 100);
        volatile double b = (double)next() / 3.0;
        volatile double sum = a + b, product = a * b, quotient = a / b, root = sqrt(fabs(a)), fused = fma(a, b, -product);
        volatile float narrow = (float)a;
        volatile float single = narrow / (float)b;
        hash = mix(hash, bits_of(sum) ^ bits_of(product) ^ bits_of(quotient));
        hash = mix(hash, bits_of(root) ^ bits_of(fused) ^ bits_of(single));
        hash = mix(hash, (uint64_t)lrint(fmod(quotient, 1e15)));
        volatile long double wide = (long double)a * b;
        hash = mix(hash, bits_of((double)(wide / 7)));
    }
    volatile double tiny = 0x1p-1060, huge = 0x1.8p1023, zero = 0;
    hash = mix(hash, bits_of(tiny * 0x1.fp-10) ^ bits_of(huge + huge) ^ bits_of(zero / zero) ^ bits_of(1 / zero));
    hash = mix(hash, (uint64_t)fetestexcept(FE_ALL_EXCEPT));
    fesetround(FE_TONEAREST);
    return hash;
}

static uint64_t interpret(void) {
    static const uint8_t program[] = {0, 7, 1, 3, 2, 5, 3, 0, 4, 1, 5, 0};
    static const void* const labels[] = {&&add, &&multiply, &&rotate, &&flip, &&loop, &&end};
    uint64_t value = 1, left = 100000;
    const uint8_t* at = program;
    goto* labels[*at];
add:
    value += at[1];
    at += 2;
    goto* labels[*at];
multiply:
    value *= at[1];
    at += 2;
    goto* labels[*at];
rotate:
    value = value << at[1] | value >> (64 - at[1]);
    at += 2;
    goto* labels[*at];
flip:
    value = ~value;
    at += 2;
    goto* labels[*at];
loop:
    at = --left ? program : at + 2;
    goto* labels[*at];
end:
    return value;
}

enum { kThreads = 4, kRounds = 20000 };
static atomic_uint_fast64_t added, exclusive;
static uint64_t guarded;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local uint64_t own;

static void* work(void* argument) {
    uint64_t seed = (uintptr_t)argument;
    for (unsigned i = 0; i < kRounds; i++) {
        atomic_fetch_add(&added, seed);
        atomic_fetch_xor_explicit(&exclusive, seed << i % 60, memory_order_relaxed);
        own += i;
        if (i % 16 == 0) {
            pthread_mutex_lock(&lock);
            guarded += seed;
            pthread_mutex_unlock(&lock);
        }
    }
    return (void*)(uintptr_t)(own * seed);
}

static uint64_t threads(void) {
    pthread_t all[kThreads];
    uint64_t hash = 0;
    for (uintptr_t i = 0; i < kThreads; i++) {
        if (pthread_create(&all[i], NULL, work, (void*)(i + 1)) != 0) abort();
    }
    for (int i = 0; i < kThreads; i++) {
        void* result = NULL;
        if (pthread_join(all[i], &result) != 0) abort();
        hash = mix(hash, (uintptr_t)result);
    }
    return mix(mix(mix(hash, added), exclusive), guarded);
}

static sigjmp_buf before;
static volatile sig_atomic_t caught;
static void on_signal(int number) {
    caught += number;
    if (number == SIGSEGV) siglongjmp(before, 1);
}

// How far it came before the store that nobody may do.
static uint64_t fault(uint64_t number) {
    volatile uint64_t progress = number;
    if (sigsetjmp(before, 1) == 0) {
        progress += 1000;
        volatile char* volatile nowhere = NULL;
        *nowhere = 1;
        progress = 0;
    }
    return progress;
}
static uint64_t signals(void) {
    uint64_t hash = 0;
    signal(SIGUSR1, on_signal);
    signal(SIGSEGV, on_signal);
    for (uint64_t i = 0; i < 200; i++) {
        raise(SIGUSR1);
        hash = mix(hash, fault(i));
    }
    return mix(hash, (uint64_t)caught);
}

static int ascending(const void* a, const void* b) {
    double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}
static double total(int count, ...) {
    va_list list;
    va_start(list, count);
    double sum = 0;
    for (int i = 0; i < count; i++) sum += i % 2 ? va_arg(list, double) : (double)va_arg(list, int);
    va_end(list);
    return sum;
}
static uint64_t library(void) {
    enum { kCount = 3000 };
    static double values[kCount];
    uint64_t hash = 0;
    for (int i = 0; i < kCount; i++) values[i] = (double)(int64_t)next() / 1e6;
    qsort(values, kCount, sizeof values[0], ascending);
    char text[256];
    for (int i = 0; i < kCount; i += 7) {
        int length = snprintf(text, sizeof text, "%.17g %a %Lg %+.3e %#" PRIx64, values[i], values[i],
                              (long double)values[i] / 3, values[i], (uint64_t)i * i);
        for (int j = 0; j < length; j++) hash = mix(hash, (uint64_t)text[j]);
        char* end = NULL;
        hash = mix(hash, bits_of(strtod(text, &end)) ^ strlen(end));
    }
    double complex z = 0;
    for (int i = 0; i < 40; i++) z = z * z + (-0.4 + 0.6 * I);
    snprintf(text, sizeof text, "%.6f %.6f", creal(z), cimag(z));
    for (char* at = strtok(text, " "); at; at = strtok(NULL, " ")) hash = mix(hash, strlen(at));
    return mix(hash, bits_of(total(6, 1, 2.5, 3, 4.25, 5, 6.125)));
}

int main(void) {
    static const int kRoundings[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    printf("integers %016" PRIx64 "\n", integers());
    for (size_t i = 0; i < sizeof kRoundings / sizeof kRoundings[0]; i++) {
        printf("floats %016" PRIx64 "\n", floats(kRoundings[i]));
    }
    printf("interpret %016" PRIx64 "\n", interpret());
    printf("threads %016" PRIx64 "\n", threads());
    printf("signals %016" PRIx64 "\n", signals());
    printf("library %016" PRIx64 "\n", library());
    return 0;
}
