// One vCPU's use of translated code.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cpu/interpret/native_tier.h"
#include "cpu/translate/code_cache.h"
#include "cpu/translate/hart_layout.h"
#include "cpu/translate/helpers.h"
#include "cpu/translate/loop_probe.h"
#include "cpu/vcpu.h"
#include "isa/riscv/vector.h"

namespace doppel::cpu::translate {

// Where code is by virtual address, for the address spaces and modes that were used last.
class JumpTables {
  public:
    explicit JumpTables(const doppel::translate::Techniques& techniques) : techniques_(techniques) {}
    using Slots = std::array<doppel::translate::x86::JumpSlot, doppel::translate::x86::kJumpSlots>;
    // The table of `key` is meant from now on.
    void select(uint64_t key);
    doppel::translate::x86::JumpSlot* data() { return selected_->slots.data(); }
    // Code for `pc`; nullptr: not in the table.
    const void* find(uint64_t pc);
    void add(uint64_t pc, const void* code);
    // What was added for `pc` goes with `page`, too.
    void tie(uint64_t pc, uint64_t page);
    // Too much was added since the last clear(), which is due before more is.
    bool is_full() const { return added_ >= kMostAdded; }
    // All become empty; one has to be selected anew.
    void clear();
    // What leads into the page goes, of every table.
    void drop_page(uint64_t page);

    // Of all tables: what they lost to others. `far_key` is the selected one's.
    using FarSlot = doppel::translate::x86::FarJumpSlot;
    FarSlot* far_data() { return far_.data(); }
    uint64_t far_key() const { return epoch_ << kKeyBits | selected_->key; }

  private:
    static constexpr size_t kTables = 8;
    static constexpr unsigned kKeyBits = 40;
    struct Table {
        uint64_t key = ~uint64_t{0};
        uint64_t epoch = 0;
        uint64_t used = 0;
        Slots slots;
    };
    const doppel::translate::Techniques& techniques_;
    std::vector<Table> tables_{kTables};
    Table* selected_ = &tables_.front();
    static constexpr size_t kMostAdded = 1 << 18;
    // What was added, by page: kernels fence single pages all the time, and the tables are large.
    struct Added {
        uint64_t pc;
        unsigned far;  // its FarSlot
    };
    std::unordered_map<uint64_t, std::vector<Added>> pages_;
    size_t added_ = 0;
    unsigned far_index(uint64_t pc) const { return doppel::translate::x86::far_jump_slot_of(pc, far_key()); }
    std::vector<FarSlot> far_{doppel::translate::x86::kFarJumpSlots};
    uint64_t epoch_ = 1;
    uint64_t now_ = 0;
};

class Tier final : public interpret::NativeTier {
  public:
    Tier(const VcpuParts& parts, std::shared_ptr<CodeCache> cache, interpret::NativeHost& host);
    ~Tier() override;

    Next run(const interpret::CodePlace& place, interpret::SoftTlb& tlb, int64_t& budget) override;
    void translate(const interpret::CodePlace& place) override;
    void context_changed(uint32_t context) override;
    void drop_jumps() override;
    void drop_jumps_to(uint64_t page) override;
    void fence_instructions() override;
    void begin() override;
    void end() override;
    void note_code_write(uint64_t physical) override;
    unsigned scarcity() const override { return static_cast<unsigned>(std::min<uint64_t>(generation_, kMostScarce)); }
    uint64_t instructions() const override { return instructions_; }
    void add_statistics(Statistics& statistics) const override;

    // For translated code: NativeState::fill_function.
    const void* fill(uint64_t* registers, const uint8_t* note);
    // For translated code: NativeState::refused and leaves say what became of it.
    uint64_t execute(SystemFunction function, const uint64_t* arguments);
    uint64_t execute(isa::riscv::vector::VectorFunction& function, const isa::riscv::vector::VectorOperands& operands);
    uint64_t finish(const isa::riscv::vector::VectorResult& result);

  private:
    using NativeState = doppel::translate::x86::NativeState;

    // Code by physical address, or that there is none.
    struct Known {
        uint64_t key = ~uint64_t{0};
        const void* code = nullptr;
    };
    static constexpr size_t kKnown = 1 << 16;
    static constexpr uint64_t kMostScarce = 4;  // flushes of the cache, after which it is taken for too small
    Known& known(uint64_t physical) { return known_[(physical >> 1 ^ physical >> 15) & (kKnown - 1)]; }
    uint64_t key_of(uint64_t physical) const { return CodeCache::key_of(physical, mode_); }

    // Whether translations are traced.
    bool tells() const { return trace_ != nullptr && trace_->wants(trace_kind::kTranslations); }
    void tell(TracedTranslation& traced, const interpret::CodePlace& place) const;
    const void* code_at(const interpret::CodePlace& place);
    const void* find_or_load(const interpret::CodePlace& place);
    std::optional<Straddle> straddle_of(const interpret::CodePlace& place) const;  // nullopt: it is not in RAM
    const void* straddling_code_at(const interpret::CodePlace& place);
    Next leave(doppel::translate::x86::Exit reason);
    void forget_code();
    void settle();
    void show_tlb(interpret::SoftTlb& tlb);
    // vector_calls.cpp
    class VectorAccess;
    uint8_t* host_memory(uint64_t address, uint64_t bytes, bool writes);  // nullptr: it is not for translated code
    bool is_whole(isa::riscv::vector::VectorFunction& function, const isa::riscv::vector::VectorOperands& operands);
    void select_jumps();
    void accrue_flags();
    CodeMode mode() const;

    isa::riscv::Hart& hart_;
    memory::GuestMemory& memory_;
    std::shared_ptr<CodeCache> cache_;
    interpret::NativeHost& host_;
    Trace* const trace_;  // null: nobody asks
    NativeState& state_;
    doppel::translate::x86::EnterFunction enter_;
    Participant participant_;
    JumpTables tables_;
    void sample(const interpret::CodePlace& place);

    LoopProbe probe_;
    std::vector<Known> known_{kKnown};  // void when the cache's generation changes
    CodeMode mode_;
    uint32_t context_ = 0;
    uint64_t generation_ = 0;
    uint64_t drops_ = 0;
    interpret::SoftTlb* tlb_ = nullptr;
    bool changed_ = false;  // since code called `execute`
    int64_t kept_ = 0;      // of the budget, from translated code
    bool sampled_ = false;  // the budget ran out at hart.pc, for the probe
    uint64_t instructions_ = 0;
    std::array<uint64_t, doppel::translate::x86::kExits> exits_{};
    // The jump that ended the last run, and where it wants to go.
    uint8_t* site_ = nullptr;
    uint64_t site_target_ = 0;
};

}  // namespace doppel::cpu::translate
