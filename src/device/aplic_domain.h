// One interrupt domain of an APLIC: its registers, and how it delivers. Source: RISC-V Advanced Interrupt Architecture
// 1.0, "Advanced Platform-Level Interrupt Controller (APLIC)"; its sections are cited in the source.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "device/interrupt.h"

namespace doppel::device {

// Guarded by the lock of the APLIC that it belongs to, whose wires it looks at.
class AplicDomain {
  public:
    // Bit n % 32 of word n / 32 belongs to source n; source 0 does not exist.
    using Bits = std::vector<uint32_t>;

    struct Registers {
        uint32_t domaincfg = 0;           // IE and DM
        uint32_t genmsi = 0;              // as last written
        std::vector<uint16_t> sourcecfg;  // by source
        std::vector<uint32_t> target;     // by source
        Bits pending;
        Bits enabled;
        std::vector<uint8_t> idelivery;  // by hart, and so the next two
        std::vector<uint8_t> iforce;
        std::vector<uint8_t> ithreshold;

        template <class V>
        void fields(V& v) {
            v.field(1, domaincfg), v.field(2, genmsi), v.field(3, sourcecfg), v.field(4, target), v.field(5, pending);
            v.field(6, enabled), v.field(7, idelivery), v.field(8, iforce), v.field(9, ithreshold);
        }
        bool sends_messages() const;
        bool delegates(uint32_t source) const;
        unsigned mode(uint32_t source) const;  // SM; 0, inactive, where delegated
        bool level_sensitive(uint32_t source) const { return mode(source) >= 6; }
        // "Rectified input value".
        bool input(uint32_t source, const Bits& wires) const;
    };

    struct Parts {
        uint32_t sources;
        std::vector<InterruptLine> harts;  // by hart index: for direct delivery
        const Bits& wires;
        // Forwards an interrupt by message to a hart index, which may be wild.
        std::function<void(uint32_t hart, uint32_t identity)> forward;
        AplicDomain* child;  // the one to delegate to, or null
    };

    explicit AplicDomain(Parts parts);

    // 32-bit accesses, aligned; registers that do not exist, and MSI addresses, read 0 and ignore writes.
    uint32_t read(uint64_t offset);
    void write(uint64_t offset, uint32_t value);
    void reset();
    // The wire of a source is at another level than before.
    void wire_changed(uint32_t source);

    Registers initial_registers() const;
    const Registers& registers() const { return registers_; }
    // Registers that a domain like this can have, with these wires and under this parent (null: none).
    bool possible(const Registers& registers, const Bits& wires, const Registers* parent) const;
    void adopt(Registers registers);

  private:
    bool exists(uint32_t source) const { return source != 0 && source <= sources_ && implemented(source); }
    bool active(uint32_t source) const { return source <= sources_ && registers_.mode(source) != 0; }
    bool implemented(uint32_t source) const;
    bool input(uint32_t source) const { return registers_.input(source, wires_); }
    uint32_t inputs(uint64_t word) const;
    uint32_t words() const { return sources_ / 32 + 1; }
    bool possible_source(const Registers& r, uint32_t source, const Bits& wires, const Registers* parent) const;

    void write_domain(uint32_t value);
    void write_source(uint32_t source, uint32_t value);
    void write_target(uint32_t source, uint32_t value);
    void write_message(uint32_t value);
    void write_delivery(uint64_t offset, uint32_t value);
    uint32_t read_delivery(uint64_t offset);
    void write_bits(uint64_t offset, uint32_t value);
    // What a register of the group at `group` does to one source.
    void write_number(uint64_t group, uint32_t source);
    void forget(uint32_t source);
    void set_pending(uint32_t source);
    void clear_pending(uint32_t source);

    uint32_t top(size_t hart) const;
    uint32_t claim(size_t hart);
    // Delivers what there is to deliver, after a source or everything may have changed.
    void settle(uint32_t source);
    void settle_all();
    void drive(size_t hart, bool always);

    const uint32_t sources_;
    const std::vector<InterruptLine> lines_;
    const Bits& wires_;
    const std::function<void(uint32_t, uint32_t)> forward_;
    AplicDomain* const child_;
    AplicDomain* parent_ = nullptr;
    Registers registers_;
    std::vector<uint8_t> driven_;  // the level last given to each line
};

}  // namespace doppel::device
