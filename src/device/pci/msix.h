// The MSI-X table and pending bits of one function (PCI Local Bus 3.0, 6.8.2).
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "device/interrupt.h"

namespace doppel::device::pci {

// Guarded by the function's lock. Table and pending bit array share one BAR: the table at 0, the array at
// `pba_offset()`.
class Msix {
  public:
    static constexpr unsigned kMaxVectors = 2048;

    struct State {
        std::vector<uint32_t> table;    // four words a vector: address low, address high, data, control
        std::vector<uint64_t> pending;  // a bit a vector
        template <class V>
        void fields(V& v) {
            v.field(1, table);
            v.field(2, pending);
        }
    };

    // 1 <= vectors <= kMaxVectors. `sink` outlives it.
    Msix(MsiSink& sink, unsigned vectors);

    unsigned vectors() const { return vectors_; }
    uint64_t pba_offset() const { return uint64_t{vectors_} * 16; }
    uint64_t bar_size() const;

    // Accesses to the BAR, `offset` anywhere. 4 and 8 byte accesses; others read zero and are ignored.
    uint64_t read(uint64_t offset, unsigned bytes) const;
    void write(uint64_t offset, unsigned bytes, uint64_t value);

    // Message Control and bus mastering as the configuration space has them now. Opening the gate sends what is
    // pending.
    void set_gate(bool enabled, bool masked, bool bus_master);
    bool enabled() const { return enabled_; }

    // Sends the vector's message, or marks it pending while masked. Nothing for a wild vector or while MSI-X is
    // disabled.
    void raise(unsigned vector);

    void reset();

    const State& state() const { return state_; }
    Result<> check(const State& state) const;
    void adopt(const State& state);

  private:
    uint32_t read_word(uint64_t offset) const;
    void write_word(uint64_t offset, uint32_t value);
    bool open(unsigned vector) const;
    bool pending(unsigned vector) const { return (state_.pending[vector / 64] >> (vector % 64) & 1) != 0; }
    void send_if_pending(unsigned vector);
    void send(unsigned vector);

    MsiSink& sink_;
    const unsigned vectors_;
    State state_;
    bool enabled_ = false;
    bool gate_open_ = false;
};

}  // namespace doppel::device::pci
