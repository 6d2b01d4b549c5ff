// The machine as a debugger sees it: harts are threads, and the guest's clock stands while they do.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device/timebase.h"
#include "isa/riscv/debug_registers.h"
#include "machine/gdb/target.h"
#include "machine/harts.h"
#include "memory/guest_memory.h"

namespace doppel::machine {

// What a debugger can ask of the machine as a whole. Called on the machine's thread; they end this run of it.
struct DebugControl {
    std::function<void()> reset;         // boots anew; what was halted stays halted
    std::function<void()> quit;          // as if the power was switched off
    std::function<void()> kill;          // as if a signal killed it
    std::function<std::string()> about;  // one line: what machine this is
};

// Belongs to the machine's thread. It comes up halted: the harts will stand at their first instruction.
class DebugTarget final : public gdb::Target {
  public:
    // All of it outlives the target.
    DebugTarget(Harts& harts, memory::GuestMemory& memory, device::Timebase& timebase, DebugControl control);

    // After each Harts::start.
    void harts_started();

    unsigned thread_count() const override { return harts_.count(); }
    std::string thread_info(unsigned thread) override;
    bool running() const override { return running_; }
    void halt() override;
    void resume(std::span<const gdb::Motion> motions) override;
    std::vector<gdb::Stop> take_stops() override;
    void set_points(std::span<const gdb::Point> points) override;
    const gdb::RegisterLayout& registers() const override { return layout_; }
    std::optional<std::string> read_register(unsigned thread, size_t number) override;
    bool write_register(unsigned thread, size_t number, std::string_view bytes) override;
    size_t read_memory(const gdb::Place& place, std::span<uint8_t> to) override;
    bool write_memory(const gdb::Place& place, std::span<const uint8_t> from) override;
    std::optional<std::string> monitor(std::string_view command) override;
    std::string monitor_help() const override;
    void kill() override { control_.kill(); }

  private:
    // A range that is contiguous in memory, of at most `limit` bytes within a page; 0 bytes: not memory.
    struct Part {
        uint64_t physical = 0;
        size_t bytes = 0;
    };
    Part part_at(const gdb::Place& place, uint64_t offset, size_t limit);
    std::string statistics() const;
    std::string information();

    Harts& harts_;
    memory::GuestMemory& memory_;
    device::Timebase& timebase_;
    const DebugControl control_;
    const isa::riscv::DebugRegisters registers_;
    gdb::RegisterLayout layout_;
    bool running_ = false;
    uint64_t halted_at_ = 0;  // ticks of the timebase
};

}  // namespace doppel::machine
