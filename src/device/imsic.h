// RISC-V incoming MSI controllers (riscv,imsics): the interrupt files of one privilege level of all harts.
// Source: RISC-V Advanced Interrupt Architecture 1.0, "Incoming MSI Controller (IMSIC)".
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/saved_state.h"
#include "device/device.h"
#include "device/interrupt.h"
#include "isa/riscv/interrupt_file.h"

namespace doppel::device {

// A page for each hart, in the harts' order: seteipnum_le at 0, seteipnum_be at 4; 32-bit accesses, others read 0 and
// are ignored. Each file drives one line, the hart's MEIP or SEIP. Files have locks of their own (order: device,
// interrupt controller, file, hart), so messages need no lock() and harts do not meet.
class Imsic final : public Device, public Saved {
  public:
    static constexpr uint64_t kPageSize = 0x1000;
    static constexpr uint32_t kMaxIdentities = 2047;
    static constexpr uint32_t kDefaultIdentities = 255;  // riscv,num-ids of QEMU's `virt`

    // eidelivery. After reset an APLIC that delivers directly has the hart's ear, as the specification wants it of
    // files that know kDirect ("External interrupt delivery enable register").
    static constexpr uint32_t kOff = 0, kOn = 1, kDirect = 0x40000000;

    // `name` is the device's. `identities` is brought to one less than a multiple of 64 within 63..kMaxIdentities.
    Imsic(std::string name, std::vector<InterruptLine> harts, uint32_t identities = kDefaultIdentities);
    ~Imsic() override;

    uint64_t size() const { return kPageSize * files_.size(); }
    uint32_t identities() const { return identities_; }

    // hart < the number of lines.
    isa::riscv::InterruptFile& file(size_t hart);
    // Where an APLIC puts the interrupts that it delivers to the hart directly.
    InterruptLine direct_input(size_t hart);
    // A message: a store of `data` at `offset`. Thread-safe, without lock().
    void receive(uint64_t offset, uint32_t data);

    std::string_view name() const override { return name_; }
    uint64_t read(uint64_t, unsigned) override { return 0; }
    void write(uint64_t offset, unsigned bytes, uint64_t value) override;
    void reset() override;

    // The levels of direct inputs are their driver's to restore.
    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    class File;
    struct Registers;

    Registers initial_registers() const;
    Result<> check(const Registers& restored) const;
    size_t words() const { return identities_ / 64 + 1; }

    const std::string name_;
    const uint32_t identities_;
    std::vector<std::unique_ptr<File>> files_;
};

}  // namespace doppel::device
