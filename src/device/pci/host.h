// A PCI Express host bridge: configuration space by ECAM, two windows for BARs, four interrupt lines.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/saved_state.h"
#include "device/device.h"
#include "device/interrupt.h"
#include "device/pci/function.h"

namespace doppel::device::pci {

inline constexpr unsigned kSlots = 32;
inline constexpr unsigned kInterruptLines = 4;

// Guest physical ranges. PCI and guest physical addresses are the same.
struct Layout {
    unsigned buses;  // 1 to 256; ECAM has 1 MiB for each
    uint64_t window32_base;
    uint64_t window32_size;
    uint64_t window64_base;
    uint64_t window64_size;
};

// One root bus (bus 0) with the bridge itself in slot 0 and up to 31 functions, each function 0 of its slot. The board
// maps ecam(), window32() and window64() on its bus and resets ecam(), which resets all functions. Functions are added
// and removed while no vCPU runs; everything else is thread-safe. Interrupt lines and message sink outlive it.
//
// BARs may lie anywhere: outside the windows they never answer, and of BARs on top of each other the one with the
// lowest slot, then the lowest index, does.
class Host final : public Saved, private Upstream {
  public:
    Host(const Layout& layout, const std::array<InterruptLine, kInterruptLines>& lines, MsiSink* messages = nullptr);
    ~Host() override;

    // Fails for slot 0, one that is taken or one beyond 31.
    Result<> add(unsigned slot, std::unique_ptr<Function> function);
    // What was there, which answers no more; null: nothing.
    std::unique_ptr<Function> remove(unsigned slot);
    // Null where there is none.
    Function* function(unsigned slot) { return slot < kSlots ? functions_[slot].get() : nullptr; }

    Device& ecam() { return ecam_; }
    Device& window32() { return window32_; }
    Device& window64() { return window64_; }
    uint64_t ecam_size() const { return uint64_t{layout_.buses} << 20; }
    const Layout& layout() const { return layout_; }

    // Which of the four lines the pin (1 INTA to 4 INTD) of a slot drives; the device tree's interrupt-map says the
    // same.
    static constexpr unsigned line_of(unsigned slot, unsigned pin) { return (slot + pin - 1) % kInterruptLines; }

    // All functions, the bridge included. The state must be of the same functions in the same slots.
    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    class Ecam final : public Device {
      public:
        explicit Ecam(Host& host) : host_(host) {}
        std::string_view name() const override { return "PCI configuration space"; }
        uint64_t read(uint64_t offset, unsigned bytes) override;
        void write(uint64_t offset, unsigned bytes, uint64_t value) override;
        void reset() override;

      private:
        Host& host_;
    };
    class Window final : public Device {
      public:
        Window(Host& host, uint64_t base) : host_(host), base_(base) {}
        std::string_view name() const override { return "PCI memory window"; }
        uint64_t read(uint64_t offset, unsigned bytes) override;
        void write(uint64_t offset, unsigned bytes, uint64_t value) override;
        void reset() override {}  // routes follow from the functions' own state

      private:
        Host& host_;
        const uint64_t base_;
    };
    struct Target {
        Function* function;
        unsigned bar;
        uint64_t offset;
    };

    void set_intx(unsigned slot, unsigned pin, bool level) override;
    void set_decodes(unsigned slot, std::span<const Decode> decodes) override;
    MsiSink* msi_sink() override { return messages_; }

    Function* at(uint64_t ecam_offset) const;
    std::optional<Target> route(uint64_t address, unsigned bytes) const;
    Result<> restore_functions(StateReader& reader);

    const Layout layout_;
    const std::array<InterruptLine, kInterruptLines> lines_;
    MsiSink* const messages_;
    std::array<std::unique_ptr<Function>, kSlots> functions_;
    Ecam ecam_;
    Window window32_;
    Window window64_;

    mutable std::mutex routes_lock_;  // leaf
    std::array<std::vector<Decode>, kSlots> routes_;

    // Held while a line is driven, so that the levels of two functions on one line arrive in order; then interrupt
    // controller.
    std::mutex intx_lock_;
    std::array<uint32_t, kInterruptLines> asserted_{};  // a bit a slot
};

}  // namespace doppel::device::pci
