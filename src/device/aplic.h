// RISC-V advanced platform-level interrupt controller (riscv,aplic): a machine-level domain and, as its only child, a
// supervisor-level one. Source: RISC-V Advanced Interrupt Architecture 1.0, "Advanced Platform-Level Interrupt
// Controller (APLIC)".
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/saved_state.h"
#include "device/aplic_domain.h"
#include "device/device.h"
#include "device/interrupt.h"

namespace doppel::device {

// Inputs are wires, numbered from 1; what a level or an edge means is for the guest to configure. The board maps the
// two domains' control regions and resets machine(), then supervisor(). Hart index numbers are the harts' order in both
// domains. Interrupts are delivered directly by lines or as messages, whose addresses are the guest's to configure.
// 32-bit accesses; others read 0 and are ignored. Thread-safe; order of locks: device, this, IMSIC file, hart.
class Aplic final : public InterruptSink, public Saved {
  public:
    static constexpr uint64_t kSize = 0x8000;  // of each domain's control region
    static constexpr uint32_t kMaxSources = 1023;
    static constexpr uint32_t kDefaultSources = 96;  // riscv,num-sources of QEMU's `virt`
    static constexpr size_t kMaxHarts = 512;         // that have delivery control structures

    // A domain's registers that the machine's firmware needs; offsets.
    static constexpr uint64_t kSourceConfig = 0;  // + 4 * source
    static constexpr uint32_t kDelegate = 1 << 10;
    static constexpr uint64_t kMachineAddress = 0x1bc0, kMachineAddressHigh = 0x1bc4;
    static constexpr uint64_t kSupervisorAddress = 0x1bc8, kSupervisorAddressHigh = 0x1bcc;
    static constexpr uint32_t kAddressLock = uint32_t{1} << 31;
    static constexpr unsigned kHartWidthShift = 12;  // LHXW in mmsiaddrcfgh

    struct HartLines {
        InterruptLine machine;
        InterruptLine supervisor;
    };
    // `sources` is brought into 1..kMaxSources; harts beyond kMaxHarts get no direct delivery. `messages` outlives it.
    Aplic(const std::vector<HartLines>& harts, MsiSink& messages, uint32_t sources = kDefaultSources);

    uint32_t sources() const { return sources_; }
    Device& machine() { return machine_; }
    Device& supervisor() { return supervisor_; }

    void set_level(uint32_t source, bool level) override;

    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    class Region final : public Device {
      public:
        Region(Aplic& aplic, AplicDomain& domain, bool root) : aplic_(aplic), domain_(domain), root_(root) {}
        std::string_view name() const override { return root_ ? "aplic (machine)" : "aplic (supervisor)"; }
        uint64_t read(uint64_t offset, unsigned bytes) override;
        void write(uint64_t offset, unsigned bytes, uint64_t value) override;
        void reset() override;

      private:
        Aplic& aplic_;
        AplicDomain& domain_;
        const bool root_;
    };
    using Addresses = std::array<uint32_t, 4>;  // mmsiaddrcfg, mmsiaddrcfgh, smsiaddrcfg, smsiaddrcfgh

    AplicDomain::Parts parts(const std::vector<HartLines>& harts, bool root);
    void write_address(size_t index, uint32_t value);
    void forward(bool root, uint32_t hart, uint32_t identity);

    const uint32_t sources_;
    MsiSink& messages_;
    mutable std::mutex lock_;
    AplicDomain::Bits wires_;
    Addresses addresses_{};
    AplicDomain child_;
    AplicDomain root_;
    Region machine_;
    Region supervisor_;
};

}  // namespace doppel::device
