// Compiles blocks, runs them on the host, and compares what they did with what they mean. For tests and fuzzers.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>

#include "translate/code_memory.h"
#include "translate/evaluate.h"
#include "translate/passes.h"
#include "translate/random_blocks.h"
#include "translate/x86/placement.h"
#include "translate/x86/thunks.h"

namespace doppel::translate::x86 {

// Registers, reservation and a soft TLB as generated code expects them.
class NativeMachine {
  public:
    static constexpr uint64_t kPageBytes = Machine::kPageBytes;
    static constexpr uint32_t kDirty = 0x6000;

    NativeMachine() : memory_(*CodeMemory::create(size_t{1} << 20)), thunks_(make_thunks(layout())) {
        base_ = memory_.place(thunks_.code);
        kept_ = memory_.used();
        connect(state_.native, thunks_, base_);
        state_.native.anchor = reinterpret_cast<uint64_t>(&anchor);
        state_.native.engine = this;
        state_.native.fill_function = &fill;
        state_.native.tlb = tlb_.data();
        state_.native.tlb_mask = (kEntries - 1) * sizeof(Entry);
        state_.native.jumps = jumps_.data();
        state_.native.far_jumps = far_jumps_.data();
        state_.native.jump_key = 1;
    }
    NativeMachine(const NativeMachine&) = delete;
    NativeMachine& operator=(const NativeMachine&) = delete;

    static uint64_t helper() { return reinterpret_cast<uint64_t>(&call) - reinterpret_cast<uint64_t>(&anchor); }
    static uint64_t mix(const uint64_t* arguments) {
        return (arguments[0] ^ 0x5bd1'e995) * 0x9e37'79b9'7f4a'7c15 + (arguments[1] << 7 ^ arguments[2]);
    }
    static const Layout& layout() {
        constexpr auto at = [](size_t offset) { return static_cast<int32_t>(offset) - kPointer; };
        static constexpr Layout found{
            .integers = at(offsetof(State, x)),
            .floats = at(offsetof(State, f)),
            .native = at(offsetof(State, native)),
            .float_status = at(offsetof(State, status)),
            .float_dirty = kDirty,
            .float_flags = at(offsetof(State, flags)),
            .reservation_address = at(offsetof(State, reserved_address)),
            .reservation_value = at(offsetof(State, reserved_value)),
            .reservation_bytes = at(offsetof(State, reserved_bytes)),
            .tlb_read_tag = offsetof(Entry, read_tag),
            .tlb_write_tag = offsetof(Entry, write_tag),
            .tlb_offset = offsetof(Entry, offset),
        };
        return found;
    }

    // False: the blocks were not compiled, because too many values live at once.
    bool run(Machine& machine, std::span<const Block> blocks, const Mapping& mapping, const Techniques& techniques) {
        Emitter emitter(layout(), mapping, techniques);
        Compiled compiled = emitter.compile(blocks);
        if (!compiled.ok) return false;
        memory_.clear(kept_);
        Placed code = place(memory_, compiled, techniques.cold_apart);
        if (code.hot == nullptr) return false;
        load(machine);
        auto enter = reinterpret_cast<EnterFunction>(const_cast<uint8_t*>(base_) + thunks_.enter);
        auto reason = static_cast<Exit>(enter(pointer(), code.address(compiled.entries[0])));
        store(machine, reason);
        return true;
    }

  private:
    static constexpr uint32_t kEntries = 64;
    static constexpr uint64_t kNoPage = ~uint64_t{0};
    struct Entry {
        uint64_t read_tag = kNoPage;
        uint64_t write_tag = kNoPage;
        uint64_t offset = 0;
        uint64_t unused = 0;
    };
    struct State {
        std::array<uint64_t, 32> x{};
        std::array<uint64_t, 32> f{};
        uint64_t status = 0;
        uint64_t reserved_address = 0, reserved_value = 0;
        uint8_t reserved_bytes = 0;
        uint8_t flags = 0;
        NativeState native;
    };
    static constexpr int32_t kPointer = offsetof(State, x) + 16 * 8;

    static void anchor() {}
    static uint64_t call(void*, const uint64_t* arguments, uint64_t) {
        // Whatever the C++ code may overwrite.
        asm volatile(
            "xorps %%xmm0, %%xmm0; xorps %%xmm7, %%xmm7; xorps %%xmm15, %%xmm15; xor %%r8d, %%r8d; "
            "xor %%esi, %%esi; xor %%r11d, %%r11d; xor %%ecx, %%ecx" ::
                : "xmm0", "xmm7", "xmm15", "r8", "rsi", "r11", "rcx");
        return mix(arguments);
    }
    static const void* fill(void* engine, uint64_t* registers, const uint8_t* at) {
        auto& self = *static_cast<NativeMachine*>(engine);
        return self.state_.native.fill_page(registers, at,
                                            [&](uint64_t address, const FillNote& note, uint64_t& addend) {
                                                if (!self.fill(address, note.bytes, note.writes)) return false;
                                                addend = self.tlb_[address / kPageBytes % kEntries].offset;
                                                return true;
                                            });
    }
    bool fill(uint64_t address, uint64_t bytes, bool writes) {
        Machine& machine = *machine_;
        uint64_t offset = address - machine.data_address;
        if (offset >= machine.data.size() || offset / kPageBytes != (offset + bytes - 1) / kPageBytes) return false;
        if (!machine.permits(offset / kPageBytes, writes)) return false;
        Entry& entry = tlb_[address / kPageBytes % kEntries];
        uint64_t page = address & ~(kPageBytes - 1);
        if (entry.read_tag != page) entry = {};
        entry.read_tag = page;
        if (writes) entry.write_tag = page;
        entry.offset = reinterpret_cast<uint64_t>(machine.data.data()) - machine.data_address;
        return true;
    }

    void* pointer() { return reinterpret_cast<uint8_t*>(&state_) + kPointer; }
    void load(Machine& machine) {
        machine_ = &machine;
        state_.x = machine.x;
        state_.f = machine.f;
        state_.status = machine.float_dirty ? kDirty : 0;
        state_.flags = machine.flags;
        state_.reserved_address = machine.reserved_address;
        state_.reserved_value = machine.reserved_value;
        state_.reserved_bytes = machine.reserved_bytes;
        state_.native.page = machine.page;
        state_.native.budget = machine.budget;
        state_.native.guest_mxcsr = state_.native.host_mxcsr = 0x1f80;
        tlb_.fill({});
    }
    void store(Machine& machine, Exit reason) {
        machine.x = state_.x;
        machine.f = state_.f;
        machine.float_dirty = state_.status == kDirty;
        machine.flags = state_.flags;
        machine.reserved_address = state_.reserved_address;
        machine.reserved_value = state_.reserved_value;
        machine.reserved_bytes = state_.reserved_bytes;
        machine.budget = state_.native.budget;
        machine.pc = reason == Exit::kLookup ? state_.native.target : state_.native.pc();
        static constexpr Stop kStops[] = {Stop::kBudget, Stop::kTarget, Stop::kOffset, Stop::kInterpret, Stop::kAccess};
        machine.stop = kStops[static_cast<size_t>(reason)];
        if (reason == Exit::kInterpret || reason == Exit::kAccess) machine.budget += state_.native.not_executed();
    }

    State state_;
    std::array<Entry, kEntries> tlb_{};
    std::array<JumpSlot, kJumpSlots> jumps_{};
    std::vector<FarJumpSlot> far_jumps_{kFarJumpSlots};
    CodeMemory memory_;
    Thunks thunks_;
    const uint8_t* base_ = nullptr;
    size_t kept_ = 0;
    Machine* machine_ = nullptr;
};

// Guest registers in other host registers than the canonical ones.
inline Mapping random_mapping(Choices& choices) {
    Mapping mapping{};
    mapping.integer.fill(-1);
    mapping.floating.fill(-1);
    auto place = [&](std::array<int8_t, 32>& registers, int8_t host) {
        unsigned number = 1 + choices.below(31);
        if (registers[number] < 0) registers[number] = host;
    };
    for (int8_t host : kHomes) place(mapping.integer, host);
    unsigned floats = choices.below(13);
    for (unsigned i = 0; i < floats; i++) place(mapping.floating, static_cast<int8_t>(15 - i));
    return mapping;
}

// What differs after both were run, in words; empty: nothing.
inline std::string difference(const Machine& meant, const Machine& did) {
    std::string out;
    auto compare = [&](std::string_view what, uint64_t expected, uint64_t got, size_t number = 0) {
        if (expected != got) out += fmt::format("{} (0x{:x}): 0x{:x}, not 0x{:x}\n", what, number, got, expected);
    };
    compare("stop", static_cast<uint64_t>(meant.stop), static_cast<uint64_t>(did.stop));
    compare("pc", meant.pc, did.pc);
    compare("budget", static_cast<uint64_t>(meant.budget), static_cast<uint64_t>(did.budget));
    for (size_t i = 0; i < 32; i++) {
        compare("x", meant.x[i], did.x[i], i);
        compare("f", meant.f[i], did.f[i], i);
    }
    compare("dirty", meant.float_dirty, did.float_dirty);
    compare("flags", meant.flags, did.flags);
    compare("reservation's width", meant.reserved_bytes, did.reserved_bytes);
    if (meant.reserved_bytes != 0) {
        compare("reservation's address", meant.reserved_address, did.reserved_address);
        compare("reservation's value", meant.reserved_value, did.reserved_value);
    }
    if (meant.data == did.data) return out;
    for (size_t i = 0; i < meant.data.size(); i++) compare("data", meant.data[i], did.data[i], i);
    return out;
}

struct Trial {
    bool compiled = false;
    std::string problem;  // empty: none
};

// Each on mostly.
inline Techniques random_techniques(Choices& choices) {
    Techniques techniques;
#define TECHNIQUE(member, name) techniques.member = !choices.one_in(4);
#include "translate/techniques.inc"
#undef TECHNIQUE
    return techniques;
}

// One random program from `choices`, evaluated and run.
inline Trial try_random_blocks(NativeMachine& native, Choices& choices) {
    constexpr unsigned kPages = 4;
    Machine meant;
    meant.data_address = choices.one_in(2) ? 0x8000'3000 : 0xffff'ffff'ffff'c000;
    meant.data.resize(kPages * Machine::kPageBytes);
    // The third page is for reading, the fourth for nobody.
    meant.permits = [](uint64_t page, bool writes) { return page < 2 || (page == 2 && !writes); };
    meant.call = &NativeMachine::mix;
    meant.page = choices.one_in(2) ? 0x1'2345'6000 : 0xffff'ffc0'0001'0000;
    meant.budget = choices.below(80);
    for (unsigned i = 1; i < 32; i++) meant.x[i] = choices.value();
    for (unsigned i = 0; i < 32; i++) meant.f[i] = choices.value() | (choices.one_in(2) ? 0xffff'ffff'0000'0000 : 0);
    for (size_t i = 0; i < meant.data.size(); i += 8) meant.data[i] = static_cast<uint8_t>(i / 8 * 37 | 1);
    RandomShape shape{.data_address = meant.data_address,
                      .data_pages = kPages,
                      .blocks = 1 + choices.below(4),
                      .helper = NativeMachine::helper()};
    std::vector<Block> blocks = random_blocks(choices, shape);
    Mapping mapping = choices.one_in(2) ? canonical_mapping() : random_mapping(choices);
    bool cleans = choices.one_in(2);
    std::string text;
    for (const Block& block : blocks) {
        text += print(block);
        if (auto verified = verify(block); !verified) return {true, verified.error().message() + "\n" + text};
    }
    Machine did = meant;
    Evaluation(meant, blocks).run();
    if (cleans) {
        for (Block& block : blocks) remove_dead(block);
    }
    Techniques techniques = choices.one_in(2) ? Techniques{} : random_techniques(choices);
    // Then the table of jumps is asked for it.
    if (!techniques.links && meant.stop == Stop::kOffset) meant.stop = Stop::kTarget;
    if (!native.run(did, blocks, mapping, techniques)) return {};
    std::string differs = difference(meant, did);
    if (differs.empty()) return {true, ""};
    for (size_t n = 0; n < 32; n++) {
        if (mapping.integer[n] >= 0) text += fmt::format("x{} in gpr {}\n", n, mapping.integer[n]);
        if (mapping.floating[n] >= 0) text += fmt::format("f{} in xmm{}\n", n, mapping.floating[n]);
    }
    return {true, differs + text + "without " + names_without(techniques) + "\n"};
}

}  // namespace doppel::translate::x86
