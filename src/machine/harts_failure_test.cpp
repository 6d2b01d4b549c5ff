// An engine that finds itself in error.
#include <gtest/gtest.h>

#include <future>
#include <utility>

#include "base/clock.h"
#include "machine/harts.h"

namespace doppel::machine {
namespace {

class FailingVcpu final : public cpu::Vcpu {
  public:
    cpu::ExitReason run(uint64_t) override { return cpu::ExitReason::kFailed; }
    void set_debug_points(std::shared_ptr<const cpu::DebugPoints>) override {}
    cpu::ExitReason step() override { return cpu::ExitReason::kFailed; }
    const cpu::WatchHit& watch_hit() const override { return hit_; }

  private:
    cpu::WatchHit hit_;
};

class FailingEngine final : public cpu::Engine {
  public:
    std::string_view name() const override { return "failing"; }
    std::unique_ptr<cpu::Vcpu> make_vcpu(const cpu::VcpuParts&) const override {
        return std::make_unique<FailingVcpu>();
    }
};

TEST(Harts, EndTheMachineAsFailedWhenTheirEngineFails) {
    memory::GuestMemory memory;
    device::Bus bus;
    device::Timebase timebase(host_clock());
    std::promise<std::pair<firmware::SystemReset, bool>> asked;
    HartSurroundings surroundings{.memory = memory, .bus = bus, .timebase = timebase};
    surroundings.reset_system = [&](firmware::SystemReset kind, bool failed) { asked.set_value({kind, failed}); };
    Harts harts(1, FailingEngine(), std::move(surroundings));
    ASSERT_TRUE(harts.create_threads());
    harts.start({.entry = 0x8000'0000, .device_tree = 0, .host_firmware = false});
    auto [kind, failed] = asked.get_future().get();
    EXPECT_EQ(kind, firmware::SystemReset::kShutdown);
    EXPECT_TRUE(failed);
    harts.stop();
}

}  // namespace
}  // namespace doppel::machine
