// Sv39, Sv48 and Sv57: translation, permissions, the exact address of every page fault, superpages, accessed and dirty
// bits, and the non-canonical addresses.
#include "guest.h"

enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };
enum { kLevels39 = 3, kLevels57 = 5, kEntries = 512 };
typedef uint64_t table[kEntries] __attribute__((aligned(4096)));

static table root, upper[kLevels57], code_tables[kLevels57];
static uint8_t page[2 * 4096] __attribute__((aligned(4096)));
static int levels;

static uint64_t entry_for(const void* target, uint64_t flags) {
    return (uint64_t)target >> 12 << 10 | flags;
}
static unsigned index_of(uint64_t address, int level) {
    return address >> (12 + 9 * level) & (kEntries - 1);
}

// The entry that maps `address` at `level` (0: 4 KiB), below root through `tables`.
static uint64_t* entry_at(uint64_t address, int level, table* tables) {
    uint64_t* at = root;
    for (int i = levels - 1; i > level; i--) {
        uint64_t* next = tables[i];
        at[index_of(address, i)] = entry_for(next, V);
        at = next;
    }
    return &at[index_of(address, level)];
}

static uint64_t load(uint64_t a) {
    return read64(a);
}
static uint64_t load32(uint64_t a) {
    return read32(a);
}
static uint64_t store(uint64_t a) {
    return write64(a, 0x600d), 0;
}
static uint64_t fetch(uint64_t a) {
    return ((uint64_t(*)(uint64_t))a)(7);
}
static uint64_t amo(uint64_t a) {
    return __atomic_fetch_add((uint64_t*)a, 1, __ATOMIC_RELAXED);
}

static void set(uint64_t* entry, uint64_t value) {
    *(volatile uint64_t*)entry = value;
    sfence_vma();
}

static void permissions(uint64_t a, uint64_t* entry) {
    set(entry, entry_for(page, V | R | A | D));
    write64((uint64_t)page + 8, 0x1234);
    expect_no_trap(expect_equal(run_in_mode(MODE_S, load, a + 8), 0x1234));
    expect_trap(CAUSE_STORE_PAGE, a + 8, run_in_mode(MODE_S, store, a + 8));
    expect_trap(CAUSE_STORE_PAGE, a + 16, run_in_mode(MODE_S, amo, a + 16));
    expect_trap(CAUSE_FETCH_PAGE, a, run_in_mode(MODE_S, fetch, a));
    set(entry, entry_for(page, V | R | W | A | D));
    expect_no_trap(run_in_mode(MODE_S, store, a + 8));
    expect_equal(read64((uint64_t)page + 8), 0x600d);
    set(entry, entry_for(page, V | X | A | D));
    write32((uint64_t)page, 0x00150513);  // addi a0, a0, 1
    write32((uint64_t)page + 4, 0x8082);  // ret
    fence_i();
    expect_no_trap(expect_equal(run_in_mode(MODE_S, fetch, a), 8));
    expect_trap(CAUSE_LOAD_PAGE, a, run_in_mode(MODE_S, load, a));
    csr_set(mstatus, 1UL << 19);  // MXR
    expect_no_trap(run_in_mode(MODE_S, load, a));
    csr_clear(mstatus, 1UL << 19);
    set(entry, entry_for(page, V | R | W | U | A | D));
    expect_trap(CAUSE_LOAD_PAGE, a, run_in_mode(MODE_S, load, a));
    csr_set(mstatus, MSTATUS_SUM);
    expect_no_trap(run_in_mode(MODE_S, load, a));
    csr_clear(mstatus, MSTATUS_SUM);
    set(entry, entry_for(page, V | W | A | D));  // reserved
    expect_trap(CAUSE_STORE_PAGE, a, run_in_mode(MODE_S, store, a));
    set(entry, entry_for(page, R | W | A | D));
    expect_trap(CAUSE_LOAD_PAGE, a + 24, run_in_mode(MODE_S, load, a + 24));
}

static void accessed_and_dirty(uint64_t a, uint64_t* entry) {
    set(entry, entry_for(page, V | R | W));
    expect_trap(CAUSE_LOAD_PAGE, a, run_in_mode(MODE_S, load, a));
    set(entry, entry_for(page, V | R | W | A));
    expect_trap(CAUSE_STORE_PAGE, a, run_in_mode(MODE_S, store, a));
#ifndef NO_SVADU
    csr_set(0x30a, 1UL << 61);  // menvcfg.ADUE: the hart sets them
    set(entry, entry_for(page, V | R | W));
    expect_no_trap(run_in_mode(MODE_S, load, a));
    expect_equal(*(volatile uint64_t*)entry, entry_for(page, V | R | W | A));
    expect_no_trap(run_in_mode(MODE_S, store, a));
    expect_equal(*(volatile uint64_t*)entry, entry_for(page, V | R | W | A | D));
    csr_clear(0x30a, 1UL << 61);
#endif
}

static void edges(uint64_t a, uint64_t* entry) {
    // A load across a page's end: the fault is on the page that is not there.
    set(entry, entry_for(page, V | R | W | A | D));
    expect_trap(CAUSE_LOAD_PAGE, a + 4096, run_in_mode(MODE_S, load, a + 4092));
    expect_no_trap(run_in_mode(MODE_S, load32, a + 4092));
    write64((uint64_t)page + 4088, 0x5555);
    uint64_t across = a + 4092;
    expect_trap(CAUSE_STORE_PAGE, a + 4096, run_in_mode(MODE_S, store, across));
    expect_equal(read64((uint64_t)page + 4088), 0x5555);
    // The upper bits must copy the sign.
    uint64_t wrong = a ^ 1UL << (12 + 9 * levels);
    expect_trap(CAUSE_LOAD_PAGE, wrong, run_in_mode(MODE_S, load, wrong));
    expect_trap(CAUSE_FETCH_PAGE, wrong, run_in_mode(MODE_S, fetch, wrong));
    // Two virtual addresses of one page see each other's writes.
    set(entry + 1, entry_for(page, V | R | W | A | D));
    write64((uint64_t)page + 8, 1);
    expect_no_trap(run_in_mode(MODE_S, store, a + 4096 + 8));
    expect_equal(run_in_mode(MODE_S, load, a + 8), 0x600d);
    set(entry + 1, 0);
}

static void superpage(uint64_t a) {
    // 2 MiB that hold `page`; a misaligned one faults.
    uint64_t* entry = entry_at(a, 1, upper);
    uint64_t old = *entry;
    uint64_t base = (uint64_t)page & ~0x1fffffUL, offset = (uint64_t)page - base;
    a &= ~0x1fffffUL;
    set(entry, entry_for((void*)base, V | R | A | D));
    write64((uint64_t)page, 0x2b2b);
    expect_no_trap(expect_equal(run_in_mode(MODE_S, load, a + offset), 0x2b2b));
    set(entry, entry_for((void*)(base + 4096), V | R | A | D));
    expect_trap(CAUSE_LOAD_PAGE, a + offset, run_in_mode(MODE_S, load, a + offset));
    set(entry, old);
}

static void try_mode(uint64_t mode, int count) {
    levels = count;
    for (int i = 0; i < kEntries; i++) {
        root[i] = 0;
        for (int k = 0; k < kLevels57; k++) upper[k][i] = code_tables[k][i] = 0;
    }
    // The program itself where it lies, as one gigapage for S-mode.
    *entry_at(RAM, 2, code_tables) = entry_for((void*)RAM, V | R | W | X | A | D);
    uint64_t a = -1UL << (12 + 9 * levels - 1) | 0x40201000;  // the first quarter of the upper half
    uint64_t* entry = entry_at(a, 0, upper);
    csr_write(satp, mode << 60 | (uint64_t)root >> 12);
    expect_equal(csr_read(satp) >> 60, mode);
    sfence_vma();
    permissions(a, entry);
    accessed_and_dirty(a, entry);
    edges(a, entry);
    superpage(a);
    csr_write(satp, 0);
}

int main(uint64_t hart) {
    (void)hart;
    try_mode(8, kLevels39);
    try_mode(9, 4);
    try_mode(10, kLevels57);
    // A mode that does not exist leaves satp as it was.
    csr_write(satp, 5UL << 60 | 3);
    expect_equal(csr_read(satp), 0);
    return 0;
}
