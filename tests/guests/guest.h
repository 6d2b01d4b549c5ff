// The little that the bare-metal programs of this folder share: a console, an end, traps that are counted, and modes.
// A program passes by returning 0 from main; check() ends it with exit code 1 after saying what was expected.
#pragma once

#include <stdint.h>

// The board's map (that of QEMU's `virt`).
#define FINISHER 0x100000UL
#define RTC 0x101000UL
#define CLINT 0x2000000UL
#define PLIC 0xc000000UL    // with --irqchip plic
#define APLIC 0xc000000UL   // the machine-level domain
#define IMSIC 0x24000000UL  // the machine-level interrupt files
#define UART 0x10000000UL
#define PCI_CONFIG 0x30000000UL
#define PCI_WINDOW32 0x40000000UL
#define RAM 0x80000000UL

#define MSIP(hart) (CLINT + 4 * (hart))
#define MTIMECMP(hart) (CLINT + 0x4000 + 8 * (hart))
#define MTIME (CLINT + 0xbff8)

enum {
    CAUSE_FETCH_ACCESS = 1,
    CAUSE_ILLEGAL = 2,
    CAUSE_LOAD_MISALIGNED = 4,
    CAUSE_LOAD_ACCESS = 5,
    CAUSE_STORE_MISALIGNED = 6,
    CAUSE_STORE_ACCESS = 7,
    CAUSE_ECALL_U = 8,
    CAUSE_ECALL_S = 9,
    CAUSE_ECALL_M = 11,
    CAUSE_FETCH_PAGE = 12,
    CAUSE_LOAD_PAGE = 13,
    CAUSE_STORE_PAGE = 15
};
enum { IRQ_MSOFT = 3, IRQ_MTIMER = 7, IRQ_MEXT = 11 };
enum { MODE_U = 0, MODE_S = 1 };
#define INTERRUPT (1UL << 63)
#define MSTATUS_MIE (1UL << 3)
#define MSTATUS_MPRV (1UL << 17)
#define MSTATUS_SUM (1UL << 18)

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define csr_read(name)                                                   \
    ({                                                                   \
        uint64_t v_;                                                     \
        __asm__ volatile("csrr %0, " STRING(name) : "=r"(v_)::"memory"); \
        v_;                                                              \
    })
#define csr_write(name, value) __asm__ volatile("csrw " STRING(name) ", %0" ::"r"((uint64_t)(value)) : "memory")
#define csr_set(name, value) __asm__ volatile("csrs " STRING(name) ", %0" ::"r"((uint64_t)(value)) : "memory")
#define csr_clear(name, value) __asm__ volatile("csrc " STRING(name) ", %0" ::"r"((uint64_t)(value)) : "memory")
// The hart's machine-level interrupt file (AIA); in numbers, as not every assembler knows the names.
#define MISELECT 0x350
#define MIREG 0x351
#define MTOPEI 0x35c
#define MTOPI 0xfb0
#define EIDELIVERY 0x70
#define EITHRESHOLD 0x72
#define EIP(identity) (0x80 + (identity) / 64 * 2)
#define EIE(identity) (0xc0 + (identity) / 64 * 2)
#define fence() __asm__ volatile("fence iorw, iorw" ::: "memory")
#define fence_i() __asm__ volatile("fence.i" ::: "memory")
#define sfence_vma() __asm__ volatile("sfence.vma" ::: "memory")
#define wfi() __asm__ volatile("wfi" ::: "memory")

static inline uint64_t read_file(uint64_t number) {
    csr_write(MISELECT, number);
    return csr_read(MIREG);
}
static inline void write_file(uint64_t number, uint64_t value) {
    csr_write(MISELECT, number);
    csr_write(MIREG, value);
}
// The identity on top, 0 if there is none.
static inline uint64_t claim_message(void) {
    uint64_t top;
    __asm__ volatile("csrrw %0, " STRING(MTOPEI) ", x0" : "=r"(top)::"memory");
    return top >> 16;
}

struct frame {
    uint64_t x[32];
    uint64_t pc, cause, tval;
};

// What the last trap on each hart was. An exception's instruction is skipped; after a fault of fetching, the hart
// returns to the address in ra. Interrupts go to on_interrupt.
struct trap_record {
    volatile uint64_t count, cause, tval, pc;
};
extern struct trap_record traps[16];

// A program's own; the default masks the interrupt.
void on_interrupt(uint64_t number);
// Where the harts but 0 go; the default waits for ever.
void secondary(uint64_t hart);
int main(uint64_t hart);

_Noreturn void exit(int code);
void put(const char* text);
void put_char(char c);
void put_hex(uint64_t value);
void put_decimal(uint64_t value);
_Noreturn void fail(const char* file_line, const char* what, uint64_t got, uint64_t expected);
uint64_t run_in_mode(uint64_t mode, uint64_t (*function)(uint64_t), uint64_t argument);

// One instruction each, whatever the compiler knows of the address.
#define DEFINE_ACCESS(bits, load, store)                                            \
    static inline uint##bits##_t read##bits(uint64_t address) {                     \
        uint64_t value;                                                             \
        __asm__ volatile(load " %0, (%1)" : "=r"(value) : "r"(address) : "memory"); \
        return (uint##bits##_t)value;                                               \
    }                                                                               \
    static inline void write##bits(uint64_t address, uint##bits##_t value) {        \
        __asm__ volatile(store " %1, (%0)" ::"r"(address), "r"(value) : "memory");  \
    }
DEFINE_ACCESS(8, "lbu", "sb")
DEFINE_ACCESS(16, "lhu", "sh")
DEFINE_ACCESS(32, "lwu", "sw")
DEFINE_ACCESS(64, "ld", "sd")

#define expect_equal(got, expected)                                                        \
    do {                                                                                   \
        uint64_t got_ = (uint64_t)(got), expected_ = (uint64_t)(expected);                 \
        if (got_ != expected_) fail(__FILE__ ":" STRING(__LINE__), #got, got_, expected_); \
    } while (0)
#define expect(condition) expect_equal(!!(condition), 1)

// Runs `statement` and expects exactly one trap from it. hart 0 only.
#define expect_trap(expected_cause, expected_tval, statement) \
    do {                                                      \
        uint64_t before_ = traps[0].count;                    \
        statement;                                            \
        expect_equal(traps[0].count - before_, 1);            \
        expect_equal(traps[0].cause, expected_cause);         \
        expect_equal(traps[0].tval, expected_tval);           \
    } while (0)
#define expect_no_trap(statement)              \
    do {                                       \
        uint64_t before_ = traps[0].count;     \
        statement;                             \
        expect_equal(traps[0].count, before_); \
    } while (0)
