// RISC-V Platform-Level Interrupt Controller (sifive,plic-1.0.0, riscv,plic0). Source: RISC-V Platform-Level Interrupt
// Controller Specification 1.0.0; its chapters are cited in the source.
#pragma once

#include <cstdint>
#include <vector>

#include "base/saved_state.h"
#include "device/device.h"
#include "device/interrupt.h"

namespace doppel::device {

// Inputs are level-triggered, numbered from 1. Contexts are targets, in the order that the board chooses (QEMU's
// `virt`: hart 0 M, hart 0 S, hart 1 M, ...); each drives one line. 32-bit accesses; others, and registers that do not
// exist, read 0 and ignore writes. save() and restore() take the lock; input levels are part of the state, so it does
// not matter whether the devices are restored before or after. Reset it after them: an input that is still high pends
// again.
class Plic final : public Device, public InterruptSink, public Saved {
  public:
    static constexpr uint64_t kSize = 0x4000000;
    static constexpr uint32_t kMaxSources = 1023;
    static constexpr uint32_t kMaxContexts = 15872;
    static constexpr uint32_t kDefaultSources = 95;  // riscv,ndev of QEMU's `virt`
    static constexpr uint32_t kMaxPriority = 7;      // a power of two minus one: WARL by masking

    // `sources` is brought into 1..kMaxSources; contexts beyond kMaxContexts have no registers.
    explicit Plic(std::vector<InterruptLine> contexts, uint32_t sources = kDefaultSources);

    uint32_t sources() const { return sources_; }

    std::string_view name() const override { return "plic"; }
    uint64_t read(uint64_t offset, unsigned bytes) override;
    void write(uint64_t offset, unsigned bytes, uint64_t value) override;
    void reset() override;

    void set_level(uint32_t source, bool level) override;

    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    // Bit n % 32 of word n / 32 belongs to source n; source 0 does not exist.
    struct Registers {
        std::vector<uint8_t> priority;   // by source
        std::vector<uint32_t> level;     // bits: the inputs
        std::vector<uint32_t> pending;   // bits
        std::vector<uint32_t> claimed;   // bits: the gateway waits for completion
        std::vector<uint32_t> enabled;   // bits, words() of them for each context
        std::vector<uint8_t> threshold;  // by context

        template <class V>
        void fields(V& v) {
            v.field(1, priority);
            v.field(2, level);
            v.field(3, pending);
            v.field(4, claimed);
            v.field(5, enabled);
            v.field(6, threshold);
        }
    };

    Registers initial_registers() const;
    Result<> check(const Registers& restored) const;
    uint32_t words() const { return sources_ / 32 + 1; }
    uint32_t existing(uint64_t word) const;  // the bits of `word` that belong to a source
    uint32_t best(uint32_t context, uint32_t above) const;
    uint32_t claim(uint32_t context);
    void complete(uint32_t context, uint32_t source);
    void write_enabled(uint64_t offset, uint32_t value);
    void write_context(uint64_t offset, uint32_t value);
    void open_gateway(uint32_t source);
    void update(uint32_t context);
    void update_all();
    void drive_all();

    const uint32_t sources_;
    const std::vector<InterruptLine> lines_;
    Registers registers_;
    std::vector<uint8_t> driven_;  // the level last given to each line
};

}  // namespace doppel::device
