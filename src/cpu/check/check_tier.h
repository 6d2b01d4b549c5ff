// Translated code that is believed only as far as the interpreter agrees: a native tier around another one.
//
// What the other tier's code does is not to count. It works on the hart's registers and on copies of the pages that it
// uses (shadow_memory.h); then the registers are put back, the interpreter executes as many instructions, and the two
// results are compared. Devices, faults and system instructions are the interpreter's anyway, so nothing that others
// see happens twice.
//
// One block is compared at a time, or a chain of blocks, for what links them; what runs often, mostly so.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cpu/check/registers.h"
#include "cpu/check/report.h"
#include "cpu/check/shadow_memory.h"
#include "cpu/check/turns.h"
#include "cpu/interpret/native_tier.h"
#include "cpu/vcpu.h"

namespace doppel::cpu::check {

// What the harts of one machine share.
struct Comparison {
    // Told of the first difference, on a hart's thread; several lines.
    std::function<void(const std::string&)> report;
    Turns turns;  // of the harts, so that none changes memory while another one compares
    std::atomic<bool> failed{false};
};

class CheckTier final : public interpret::NativeTier, private interpret::NativeHost {
  public:
    using MakeTier = std::function<std::unique_ptr<NativeTier>(interpret::NativeHost&)>;
    CheckTier(const VcpuParts& parts, std::shared_ptr<Comparison> comparison, NativeHost& host, const MakeTier& make);
    ~CheckTier() override;

    Next run(const interpret::CodePlace& place, interpret::SoftTlb& tlb, int64_t& budget) override;
    void translate(const interpret::CodePlace&) override {}  // when it turns out that there is no code
    void context_changed(uint32_t context) override { tier_->context_changed(context); }
    void drop_jumps() override { tier_->drop_jumps(); }
    void drop_jumps_to(uint64_t page) override { tier_->drop_jumps_to(page); }
    void fence_instructions() override { tier_->fence_instructions(); }
    void begin() override;
    void end() override;
    void note_code_write(uint64_t physical) override { tier_->note_code_write(physical); }
    uint64_t instructions() const override { return compared_; }
    void add_statistics(Statistics& statistics) const override;

  private:
    using CodePlace = interpret::CodePlace;

    // The block at a place.
    struct Step {
        uint64_t physical = ~uint64_t{0};
        uint32_t instructions = 0;  // 0: not known
        uint32_t visits = 0;
    };
    static constexpr size_t kSteps = 1 << 14;
    Step& step_at(const CodePlace& place);

    // What translated code did when it was run last.
    struct Outcome {
        Next next;
        int64_t limit;  // of instructions
        int64_t executed;
        Registers before, after;
        bool had_no_code() const { return next == Next::kInterpretBlock && executed == 0; }
    };
    struct Budget {
        int64_t before;
        int64_t& now;
    };
    void run_next(const CodePlace& place, int64_t budget);
    void run_block(const CodePlace& place, Step& step, int64_t budget);
    void run_chain(const CodePlace& place, int64_t limit);
    void run_translated(const CodePlace& place, int64_t limit);
    // Lets the interpreter execute what translated code did. nullopt: it agrees.
    std::optional<Difference> compare(const CodePlace& place);
    bool float_status_agrees();
    std::optional<Difference> confirm(const CodePlace& place, const Difference& first, const Budget& budget);
    void tell_of_race(uint64_t pc);

    // NativeHost, for translated code
    bool fill(uint64_t va, unsigned bytes, bool writes) override;
    void drop_code_writes() override;
    // What they change cannot be put back: the interpreter executes them.
    std::optional<isa::riscv::SystemContext> begin_system(uint64_t, int64_t) override { return std::nullopt; }
    interpret::SoftTlb* goes_on_with() override { return nullptr; }
    bool undoes() const override { return true; }
    std::optional<CodePlace> place() override { return host_.place(); }
    interpret::Interpreted interpret(uint64_t count, interpret::SoftTlb& tlb) override {
        return host_.interpret(count, tlb);
    }

    isa::riscv::Hart& hart_;
    std::shared_ptr<Comparison> comparison_;
    NativeHost& host_;
    std::unique_ptr<NativeTier> tier_;
    ShadowMemory shadow_;
    Outcome outcome_{};
    interpret::SoftTlb* tlb_ = nullptr;  // of the present run
    std::vector<Step> steps_{kSteps};
    uint64_t compared_ = 0;  // instructions
    uint64_t comparisons_ = 0;
    bool has_turn_ = false;
    bool told_of_race_ = false;
};

}  // namespace doppel::cpu::check
