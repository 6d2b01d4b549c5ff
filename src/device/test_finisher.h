// SiFive test finisher: the guest's way to power off, to fail with a code and to reset (sifive,test1; SiFive FU540-C000
// and QEMU `virt`). The device tree's syscon-poweroff and syscon-reboot nodes write to it.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "base/saved_state.h"
#include "device/device.h"

namespace doppel::device {

enum class FinishKind { kPass, kFail, kReset };

struct Finish {
    FinishKind kind;
    uint16_t code;  // of kFail; else 0
    bool operator==(const Finish&) const = default;
};

// One write-only register at offset 0, for 2- and 4-byte accesses: the low half says what, the high half is the code of
// a failure.
class TestFinisher final : public Device, public Saved {
  public:
    static constexpr uint64_t kSize = 0x1000;
    static constexpr uint32_t kPass = 0x5555;
    static constexpr uint32_t kFail = 0x3333;
    static constexpr uint32_t kReset = 0x7777;

    // `finish` runs on the vCPU's thread with the device's lock held: it notes the wish and must not wait for vCPUs.
    explicit TestFinisher(std::function<void(Finish)> finish) : finish_(std::move(finish)) {}

    std::string_view name() const override { return "test-finisher"; }
    uint64_t read(uint64_t, unsigned) override { return 0; }
    void write(uint64_t offset, unsigned bytes, uint64_t value) override;
    void reset() override {}

    // It has no state; the functions are there so that a board treats all devices alike.
    void save(StateWriter&) const override {}
    Result<> restore(StateReader& reader) override { return reader.finish("restore test-finisher"); }

  private:
    std::function<void(Finish)> finish_;
};

}  // namespace doppel::device
