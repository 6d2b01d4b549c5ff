#include "guest.h"

struct trap_record traps[16];
extern volatile uint64_t tohost;
extern char leave_mode[];

static const uint64_t kLeaveMode = 0x5e7;

_Noreturn void exit(int code) {
    fence();
#ifdef EXIT_BY_FINISHER  // for trying the programs on machines without tohost
    write32(FINISHER, code == 0 ? 0x5555 : (uint32_t)code << 16 | 0x3333);
#else
    tohost = (uint64_t)code << 1 | 1;
#endif
    for (;;) wfi();
}

void put_char(char c) {
    while (!(read8(UART + 5) & 0x20)) {
    }
    write8(UART, (uint8_t)c);
}

void put(const char* text) {
    while (*text) put_char(*text++);
}

void put_hex(uint64_t value) {
    put("0x");
    int shift = 60;
    while (shift > 0 && !(value >> shift)) shift -= 4;
    for (; shift >= 0; shift -= 4) put_char("0123456789abcdef"[value >> shift & 15]);
}

void put_decimal(uint64_t value) {
    if (value >= 10) put_decimal(value / 10);
    put_char((char)('0' + value % 10));
}

_Noreturn void fail(const char* file_line, const char* what, uint64_t got, uint64_t expected) {
    put(file_line);
    put(": ");
    put(what);
    put(" is ");
    put_hex(got);
    put(", not ");
    put_hex(expected);
    put("; last trap: cause ");
    put_hex(traps[0].cause);
    put(" tval ");
    put_hex(traps[0].tval);
    put(" pc ");
    put_hex(traps[0].pc);
    put("\n");
    exit(1);
}

__attribute__((weak)) void on_interrupt(uint64_t number) {
    csr_clear(mie, 1UL << number);
}

__attribute__((weak)) void secondary(uint64_t hart) {
    (void)hart;
    for (;;) wfi();
}

static uint64_t length_at(uint64_t pc) {
    return (read16(pc) & 3) == 3 ? 4 : 2;
}

// Called by trap_entry. Instructions lie at the same address in every translation that the programs make.
void trap(struct frame* frame) {
    if (frame->cause & INTERRUPT) return on_interrupt(frame->cause & 63);
    if ((frame->cause == CAUSE_ECALL_S || frame->cause == CAUSE_ECALL_U) && frame->x[17] == kLeaveMode) {
        frame->pc = (uint64_t)leave_mode;
        csr_set(mstatus, 3UL << 11);
        return;
    }
    struct trap_record* record = &traps[csr_read(mhartid)];
    record->count++;
    record->cause = frame->cause;
    record->tval = frame->tval;
    record->pc = frame->pc;
    if (frame->cause == CAUSE_FETCH_ACCESS || frame->cause == CAUSE_FETCH_PAGE) {
        frame->pc = frame->x[1];
    } else {
        frame->pc += length_at(frame->pc);
    }
}

void* memset(void* to, int value, uint64_t size) {
    for (uint64_t i = 0; i < size; i++) ((volatile char*)to)[i] = (char)value;
    return to;
}

void* memcpy(void* to, const void* from, uint64_t size) {
    for (uint64_t i = 0; i < size; i++) ((volatile char*)to)[i] = ((const char*)from)[i];
    return to;
}
