// What translated code works on: guest registers at fixed distances from one host register, and a record beside them
// that it shares with the engine. Code holds no address of the host's: everything is reached through here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace doppel::translate::x86 {

// Why translated code returned; the guest's registers are all in memory then.
enum class Exit : uint32_t {
    kBudget,     // the budget does not cover the block at pc()
    kLookup,     // no code is known for `target`
    kLink,       // as kLookup, for a direct jump inside the page; `site` is where it can be linked
    kInterpret,  // the instruction at pc() is not for translated code
    kAccess,     // the access of the instruction at pc() is not for translated code
};
inline constexpr size_t kExits = 5;

// Where code for a virtual address is; valid in one address space and mode.
struct JumpSlot {
    uint64_t pc = 1;  // no instruction has an odd address
    const void* code = nullptr;
};
inline constexpr unsigned kJumpSlots = 4096;
inline constexpr unsigned kJumpFold = 9;  // pages' numbers count too
constexpr unsigned jump_slot_of(uint64_t pc) {
    auto low = static_cast<uint32_t>(pc);
    return (low ^ low >> kJumpFold) >> 1 & (kJumpSlots - 1);
}

inline constexpr unsigned kSpills = 40;

struct alignas(16) NativeState {
    uint64_t page = 0;          // the virtual address of the page whose code runs
    JumpSlot* jumps = nullptr;  // kJumpSlots
    int64_t budget = 0;         // instructions; a block takes its count at its beginning
    void* tlb = nullptr;        // entries as Layout says; a power of two of them
    uint64_t tlb_mask = 0;      // of an entry's distance from the first
    uint32_t position = 0;      // of an exit: the offset in the page, and << 16 the instructions not executed
    uint32_t access_kind = 0;   // for `fill`: bytes, and kWrites
    uint64_t access_address = 0;
    uint64_t target = 0;
    uint8_t* site = nullptr;
    uint32_t guest_mxcsr = 0x1f80;  // exceptions masked, nearest; the flags are the guest's
    uint32_t host_mxcsr = 0x1f80;
    uint64_t anchor = 0;  // helpers are called at distances from it
    uint64_t result = 0;
    std::array<uint64_t, 4> arguments{};
    uint64_t helper = 0;
    uint64_t saved = 0;                        // a register, in code off the usual path
    std::array<uint8_t, 64> flags_of_mxcsr{};  // the guest's form of the host's sticky flags
    // Common code, at addresses that differ from process to process.
    const void* exit_budget = nullptr;
    const void* exit_lookup = nullptr;
    const void* exit_link = nullptr;
    const void* exit_interpret = nullptr;
    const void* exit_access = nullptr;
    const void* fill = nullptr;
    const void* fill_float = nullptr;  // keeps the float registers too
    const void* call_float = nullptr;  // a helper
    void* engine = nullptr;            // for the functions below
    bool (*fill_function)(void* engine, uint64_t address, uint32_t kind) = nullptr;
    std::array<uint64_t, kSpills> spills{};
    alignas(16) std::array<uint64_t, 2> sign64{uint64_t{1} << 63, 0};
    alignas(16) std::array<uint64_t, 2> sign32{uint64_t{1} << 31, 0};
    alignas(16) std::array<uint64_t, 2> box{0xffff'ffff'0000'0000, 0};
    uint64_t nan64 = 0x7ff8'0000'0000'0000;
    uint64_t nan32 = 0x7fc0'0000;

    static constexpr uint32_t kWrites = 1 << 16;
    uint64_t pc() const { return page + (position & 0xffff); }
    unsigned not_executed() const { return position >> 16; }
};

// Where the engine keeps what, relative to the state register.
struct Layout {
    int32_t integers;  // 8 bytes each
    int32_t floats;
    int32_t native;        // a NativeState
    int32_t float_status;  // 8 bytes, in which `float_dirty` is set when float registers change
    uint32_t float_dirty;
    int32_t float_flags;          // one byte: the flags that were accrued, besides those in the host's register
    int32_t reservation_address;  // 8 bytes; the value behind it, then one byte: the width in bytes, 0 for none
    int32_t reservation_value;
    int32_t reservation_bytes;
    // A soft TLB's entry: 32 bytes, the tags the page's address.
    int32_t tlb_read_tag, tlb_write_tag, tlb_offset;
};

}  // namespace doppel::translate::x86
