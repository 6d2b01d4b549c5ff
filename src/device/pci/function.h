// What every PCI function is made of: configuration space, BARs, INTx and MSI-X. A device derives from it.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>

#include "base/saved_state.h"
#include "device/interrupt.h"
#include "device/pci/config_space.h"
#include "device/pci/msix.h"

namespace doppel::device::pci {

inline constexpr unsigned kBars = 6;

// What a read of 1 to 8 bytes that nothing answers returns.
constexpr uint64_t all_ones(unsigned bytes) {
    return ~uint64_t{0} >> (64 - 8 * bytes);
}

struct Identity {
    uint16_t vendor;
    uint16_t device;
    uint32_t class_code;  // base class, subclass, interface: 24 bits
    uint8_t revision = 0;
    uint16_t subsystem_vendor = 0;
    uint16_t subsystem = 0;
    uint8_t interrupt_pin = 0;  // 0 none, 1 to 4 INTA to INTD
};

// A memory BAR. `size` is a power of two, at least 16; `wide` ones (64 bits) take two indices.
struct Bar {
    unsigned index;
    uint64_t size;
    bool wide = false;
    bool prefetchable = false;
};

// A BAR that answers now: a guest physical range.
struct Decode {
    unsigned bar;
    uint64_t base;
    uint64_t size;
};

// The bridge above a function. Thread-safe; called with the function's lock held, takes only leaf locks of its own and
// those of interrupt controllers.
class Upstream {
  public:
    virtual ~Upstream() = default;
    virtual void set_intx(unsigned slot, unsigned pin, bool level) = 0;
    virtual void set_decodes(unsigned slot, std::span<const Decode> decodes) = 0;
    virtual MsiSink* msi_sink() = 0;  // null: MSI-X must not be offered
};

// Everything but `attach`, `save` and `restore` is called under `lock()`; those two take it themselves. Lock order: the
// bridge's register devices, the function, the bridge's tables, interrupt controller.
class Function : public Saved {
  public:
    ~Function() override = default;
    Function(const Function&) = delete;
    Function& operator=(const Function&) = delete;

    virtual std::string_view name() const = 0;
    std::mutex& lock() const { return lock_; }

    // Once, before the guest runs. `upstream` outlives every other call.
    void attach(Upstream& upstream, unsigned slot);

    // Configuration accesses by the guest: 1, 2 or 4 bytes, naturally aligned.
    uint32_t read_config(unsigned offset, unsigned bytes);
    void write_config(unsigned offset, unsigned bytes, uint32_t value);

    // An access to BAR `bar`, inside its size. A BAR that the function does not have reads all ones.
    uint64_t read_bar(unsigned bar, uint64_t offset, unsigned bytes);
    void write_bar(unsigned bar, uint64_t offset, unsigned bytes, uint64_t value);

    // Power-on and hot reset: configuration space, BARs, interrupts and the device behind them.
    void reset();

    void save(StateWriter& writer) const final;
    Result<> restore(StateReader& reader) final;

  protected:
    explicit Function(const Identity& identity);

    // For constructors.
    ConfigSpace& config() { return config_; }
    const ConfigSpace& config() const { return config_; }
    void add_bar(const Bar& bar);
    // MSI-X with its table in a 32-bit BAR of its own; appears at `attach`, and only where messages can be delivered.
    void offer_msix(unsigned bar, unsigned vectors);

    void set_intx(bool level);
    // Null while the guest has not enabled MSI-X (then INTx is the way), or it is not offered.
    Msix* enabled_msix() { return msix_ && msix_->enabled() ? &*msix_ : nullptr; }
    unsigned msix_vectors() const { return msix_ ? msix_->vectors() : 0; }
    bool bus_master() const;
    uint64_t bar_size(unsigned bar) const { return bar < kBars ? bars_[bar].size : 0; }

    virtual uint64_t read_device(unsigned bar, uint64_t offset, unsigned bytes) = 0;
    virtual void write_device(unsigned bar, uint64_t offset, unsigned bytes, uint64_t value) = 0;
    virtual void reset_device() = 0;
    virtual void save_device(StateWriter& writer) const = 0;
    // All or nothing, as Saved::restore.
    virtual Result<> restore_device(StateReader& reader) = 0;
    virtual void restored() {}                                               // after all state is in place
    virtual void config_reading(unsigned /*offset*/, unsigned /*bytes*/) {}  // before a read: refresh what it shows
    virtual void config_written(unsigned /*offset*/, unsigned /*bytes*/) {}  // after a write

  private:
    uint64_t bar_base(unsigned bar) const;
    void apply_config();
    void apply_intx();

    mutable std::mutex lock_;
    ConfigSpace config_;
    std::array<Bar, kBars> bars_{};  // size 0: not there
    std::optional<Msix> msix_;
    unsigned msix_bar_ = 0;
    unsigned msix_wanted_ = 0;      // vectors
    unsigned msix_capability_ = 0;  // its offset in configuration space
    Upstream* upstream_ = nullptr;
    unsigned slot_ = 0;
    bool intx_ = false;  // what the device asks for, whatever the disable bit says
};

}  // namespace doppel::device::pci
