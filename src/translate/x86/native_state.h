// What translated code works on: guest registers at fixed distances from one host register, and a record beside them
// that it shares with the engine. Code holds no address of the host's: everything is reached through here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace doppel::translate::x86 {

// Why translated code returned; the guest's registers are all in memory then.
enum class Exit : uint32_t {
    kBudget,     // the budget does not cover the block at pc()
    kLookup,     // no code is known for `target`, nor in the far jump slots
    kLink,       // as kLookup, for a direct jump inside the page; `site` is where it can be linked
    kInterpret,  // the instruction at pc() is not for translated code
    kAccess,     // the access of the instruction at pc() is not for translated code
    kResume,     // what code presumes may have changed
};
inline constexpr size_t kExits = 6;

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

// The same of all address spaces and modes, for what the slots above lost to others.
struct FarJumpSlot {
    uint64_t pc = 0;
    uint64_t key = 0;  // NativeState::jump_key; 0: empty
    const void* code = nullptr;
    uint64_t unused = 0;
};
inline constexpr unsigned kFarJumpSlots = 16384;
inline constexpr unsigned kFarJumpFold = 14;
constexpr unsigned far_jump_slot_of(uint64_t pc, uint64_t key) {
    return static_cast<unsigned>(pc >> 1 ^ pc >> kFarJumpFold ^ key) & (kFarJumpSlots - 1);
}

inline constexpr unsigned kSpills = 40;

inline constexpr unsigned kReturnWords = 2;
inline constexpr uint64_t kNoReturn = 1;  // no instruction has an odd address

// What code tells the common code that it calls stands behind the call, as the operands of instructions that are not
// executed: `test eax, imm32`.
inline constexpr int32_t kNoteBytes = 5, kNoteOperand = 1;

// The note of a call of `fill`, three words. Behind it is where to go on with the page found, kGoOnBytes behind that
// where to go on without.
struct FillNote {
    uint32_t position;  // NativeState::position
    int32_t offset;     // the access's distance from the address in `base`
    uint16_t bytes;
    uint8_t base, addend;  // general registers; `addend` gets the page's host address minus its guest address
    bool writes, aligned;  // aligned: to its size, or it is no access
    bool may_fail;         // `addend` gets 0 then, and all goes on
    bool leaves;           // to the exit, instead of going on without the page

    static constexpr unsigned kWords = 3;
    static constexpr int32_t kGoOnBytes = 5;  // of a jump
    std::array<uint32_t, kWords> words() const {
        return {position, static_cast<uint32_t>(offset),
                bytes | uint32_t{base} << 16 | uint32_t{addend} << 20 | uint32_t{writes} << 24 |
                    uint32_t{aligned} << 25 | uint32_t{may_fail} << 26 | uint32_t{leaves} << 27};
    }
    static FillNote read(const uint8_t* at) {
        std::array<uint32_t, kWords> found;
        for (size_t i = 0; i < kWords; i++) {
            std::memcpy(&found[i], at + i * kNoteBytes + kNoteOperand, sizeof found[i]);
        }
        auto [position, offset, access] = found;
        return {position,
                static_cast<int32_t>(offset),
                static_cast<uint16_t>(access),
                static_cast<uint8_t>(access >> 16 & 0xf),
                static_cast<uint8_t>(access >> 20 & 0xf),
                (access >> 24 & 1) != 0,
                (access >> 25 & 1) != 0,
                (access >> 26 & 1) != 0,
                (access >> 27 & 1) != 0};
    }
};

struct alignas(16) NativeState {
    uint64_t page = 0;                 // the virtual address of the page whose code runs
    JumpSlot* jumps = nullptr;         // kJumpSlots
    FarJumpSlot* far_jumps = nullptr;  // kFarJumpSlots
    uint64_t jump_key = 0;             // of the present address space and mode, and of what is known of them; not 0
    int64_t budget = 0;                // instructions; a block takes its count at its beginning
    void* tlb = nullptr;               // entries as Layout says; a power of two of them
    uint64_t tlb_mask = 0;             // of an entry's distance from the first
    uint32_t position = 0;             // of an exit: the offset in the page, and << 16 the instructions not executed
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
    const void* fill = nullptr;        // puts a page into the soft TLB
    const void* fill_float = nullptr;  // keeps the float registers too
    const void* call_float = nullptr;  // a helper
    void* engine = nullptr;            // for the functions below
    // Where to go on. `registers` are the general ones by their numbers, `at` is where the FillNote begins.
    const void* (*fill_function)(void* engine, uint64_t* registers, const uint8_t* at) = nullptr;
    std::array<uint64_t, kSpills> spills{};
    alignas(16) std::array<uint64_t, 2> sign64{uint64_t{1} << 63, 0};
    alignas(16) std::array<uint64_t, 2> sign32{uint64_t{1} << 31, 0};
    alignas(16) std::array<uint64_t, 2> box{0xffff'ffff'0000'0000, 0};
    uint64_t nan64 = 0x7ff8'0000'0000'0000;
    uint64_t nan32 = 0x7fc0'0000;
    const void* exit_resume = nullptr;
    uint32_t refused = 0;        // by the last `system`: the interpreter is to execute it
    uint32_t leaves = 0;         // the last `system` wants `resume` to leave
    uint32_t zeroes_blocks = 0;  // whether `zeroing` goes on
    // Where calls return to, on the host's stack: each has the code there and, above it, the guest's address. `returns`
    // is where they begin, with one that fits no return, and `last_return`, while a helper is called, where they end.
    uint64_t* returns = nullptr;
    uint64_t* last_return = nullptr;
    const void* call = nullptr;  // a helper that does without floating point, while no float register is in use

    uint64_t pc() const { return page + (position & 0xffff); }
    unsigned not_executed() const { return position >> 16; }

    // For helpers: what returns into the page `gone` finds its code anew.
    void forget_returns(uint64_t gone) {
        constexpr uint64_t kPageMask = ~uint64_t{0xfff};
        if (last_return == nullptr) return;
        for (uint64_t* at = last_return; at < returns; at += kReturnWords) {
            if ((at[1] & kPageMask) == gone) at[1] = kNoReturn;
        }
    }

    // For `fill_function`: asks `find` for the addend of the page of an access; false: there is none to be had.
    template <class Find>  // bool(uint64_t address, const FillNote&, uint64_t& addend)
    const void* fill_page(uint64_t* registers, const uint8_t* at, Find find) {
        const FillNote note = FillNote::read(at);
        const uint8_t* found = at + FillNote::kWords * kNoteBytes;
        const uint64_t address = registers[note.base] + static_cast<uint64_t>(int64_t{note.offset});
        position = note.position;
        uint64_t& addend = registers[note.addend];
        if (!(note.aligned && address % note.bytes != 0) && find(address, note, addend)) return found;
        if (note.may_fail) {
            addend = 0;
            return found;
        }
        return note.leaves ? exit_access : found + FillNote::kGoOnBytes;
    }
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
