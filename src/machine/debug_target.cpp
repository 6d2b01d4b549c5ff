#include "machine/debug_target.h"

#include <fmt/format.h>

#include <algorithm>

#include "isa/riscv/mmu.h"

namespace doppel::machine {

namespace {

using firmware::HartState;
using isa::riscv::DebugRegisters;

std::string_view name_of(isa::riscv::Privilege privilege) {
    switch (privilege) {
        case isa::riscv::Privilege::kUser:
            return "U";
        case isa::riscv::Privilege::kSupervisor:
            return "S";
        case isa::riscv::Privilege::kMachine:
            break;
    }
    return "M";
}

std::string_view name_of(HartState state) {
    switch (state) {
        case HartState::kStopped:
        case HartState::kStopPending:
            return "stopped";
        case HartState::kSuspended:
        case HartState::kSuspendPending:
            return "suspended";
        default:
            return "started";
    }
}

gdb::RegisterLayout layout_of(const DebugRegisters& registers) {
    constexpr size_t kRa = 1, kSp = 2, kFp = 8;
    gdb::RegisterLayout layout{registers.description(),
                               {},
                               DebugRegisters::kGeneral,
                               DebugRegisters::kPc,
                               {kRa, kSp, kFp, DebugRegisters::kPc}};
    for (size_t n = 0; n < registers.count(); n++) {
        layout.bytes.push_back(static_cast<uint16_t>(registers.bytes(n)));
    }
    return layout;
}

}  // namespace

DebugTarget::DebugTarget(Harts& harts, memory::GuestMemory& memory, device::Timebase& timebase, DebugControl control)
    : harts_(harts),
      memory_(memory),
      timebase_(timebase),
      control_(std::move(control)),
      registers_(harts.hart(0).vector.register_bytes() * 8),
      layout_(layout_of(registers_)) {
    harts_.pause();
    halted_at_ = timebase_.now();
}

void DebugTarget::harts_started() {
    // They stand only when their threads have come so far.
    if (!running_) harts_.pause();
}

std::string DebugTarget::thread_info(unsigned thread) {
    if (running_) return fmt::format("hart {}", thread);
    return fmt::format("hart {}, {}, {}-mode", thread, name_of(harts_.state_of(thread)),
                       name_of(harts_.hart(thread).privilege));
}

void DebugTarget::halt() {
    harts_.pause();
    if (running_) halted_at_ = timebase_.now();
    running_ = false;
}

void DebugTarget::resume(std::span<const gdb::Motion> motions) {
    // For the guest no time has passed.
    if (!running_) timebase_.set(halted_at_);
    running_ = true;
    std::vector<HartMotion> harts;
    for (gdb::Motion motion : motions) {
        harts.push_back(motion == gdb::Motion::kStay  ? HartMotion::kStay
                        : motion == gdb::Motion::kRun ? HartMotion::kRun
                                                      : HartMotion::kStep);
    }
    harts_.resume(harts);
}

std::vector<gdb::Stop> DebugTarget::take_stops() {
    std::vector<gdb::Stop> stops;
    for (const HartStop& noted : harts_.take_debug_stops()) {
        gdb::Stop stop{noted.hart, gdb::Stop::Reason::kStep, 0, gdb::PointKind::kAccess};
        if (noted.reason == cpu::ExitReason::kBreakpoint) {
            stop.reason = gdb::Stop::Reason::kBreakpoint;
            stop.address = harts_.hart(noted.hart).pc;
        } else if (noted.reason == cpu::ExitReason::kWatchpoint) {
            const cpu::Watchpoint& point = noted.hit.point;
            stop.reason = gdb::Stop::Reason::kWatchpoint;
            stop.address = noted.hit.address;
            stop.kind = !point.reads    ? gdb::PointKind::kWrite
                        : !point.writes ? gdb::PointKind::kRead
                                        : gdb::PointKind::kAccess;
        }
        stops.push_back(stop);
    }
    return stops;
}

void DebugTarget::set_points(std::span<const gdb::Point> points) {
    std::vector<uint64_t> breakpoints;
    std::vector<cpu::Watchpoint> watchpoints;
    for (const gdb::Point& point : points) {
        if (point.kind == gdb::PointKind::kSoftware || point.kind == gdb::PointKind::kHardware) {
            breakpoints.push_back(point.address);
        } else {
            watchpoints.push_back({point.address, point.address + (point.length - 1),
                                   point.kind != gdb::PointKind::kWrite, point.kind != gdb::PointKind::kRead});
        }
    }
    harts_.set_debug_points(std::make_shared<cpu::DebugPoints>(std::move(breakpoints), std::move(watchpoints)));
}

std::optional<std::string> DebugTarget::read_register(unsigned thread, size_t number) {
    return registers_.read(harts_.hart(thread), harts_.environment(), number);
}

bool DebugTarget::write_register(unsigned thread, size_t number, std::string_view bytes) {
    return registers_.write(harts_.hart(thread), number, bytes);
}

DebugTarget::Part DebugTarget::part_at(const gdb::Place& place, uint64_t offset, size_t limit) {
    constexpr uint64_t kPage = isa::riscv::kPageBytes;
    std::optional<uint64_t> physical = place.address + offset;
    size_t bytes = std::min<uint64_t>(limit, kPage - *physical % kPage);
    if (place.space == gdb::AddressSpace::kVirtual) {
        physical = isa::riscv::find_physical(harts_.hart(place.thread), memory_, *physical);
    }
    if (!physical || memory_.find(*physical, bytes) == nullptr) return {};
    return {*physical, bytes};
}

size_t DebugTarget::read_memory(const gdb::Place& place, std::span<uint8_t> to) {
    size_t done = 0;
    while (done < to.size()) {
        Part part = part_at(place, done, to.size() - done);
        if (part.bytes == 0 || !memory_.read(part.physical, to.subspan(done, part.bytes))) break;
        done += part.bytes;
    }
    return done;
}

bool DebugTarget::write_memory(const gdb::Place& place, std::span<const uint8_t> from) {
    std::vector<Part> parts;
    for (size_t done = 0; done < from.size(); done += parts.back().bytes) {
        parts.push_back(part_at(place, done, from.size() - done));
        if (parts.back().bytes == 0) return false;
    }
    for (const Part& part : parts) {
        if (!memory_.write(part.physical, from.first(part.bytes))) return false;
        from = from.subspan(part.bytes);
    }
    harts_.request_instruction_fences();
    return true;
}

std::optional<std::string> DebugTarget::monitor(std::string_view command) {
    if (command == "info") return information();
    if (command == "stats") return statistics();
    if (command == "reset") {
        control_.reset();
        return "the machine boots anew and is halted at its first instruction (flushregs shows it)\n";
    }
    if (command == "quit") {
        control_.quit();
        return "the machine ends\n";
    }
    return std::nullopt;
}

std::string DebugTarget::monitor_help() const {
    return "info          the machine and its harts\n"
           "stats         instructions retired by each hart, and the guest's clock\n"
           "reset         boot anew, halted at the first instruction\n"
           "quit          end the machine\n";
}

std::string DebugTarget::information() {
    std::string text = control_.about() + "\n";
    for (unsigned i = 0; i < harts_.count(); i++) {
        text += fmt::format("{}, pc 0x{:x}\n", thread_info(i), harts_.hart(i).pc);
    }
    for (const auto& region : memory_.regions()) {
        text += fmt::format("memory 0x{:x} to 0x{:x}{}\n", region->base, region->base + (region->size - 1),
                            region->writable ? "" : ", read-only");
    }
    return text;
}

std::string DebugTarget::statistics() const {
    std::string text;
    for (unsigned i = 0; i < harts_.count(); i++) {
        text += fmt::format("hart {}: {} instructions\n", i, harts_.hart(i).retired);
    }
    return text + fmt::format("clock: {} ticks of {} Hz\n", halted_at_, device::Timebase::kFrequency);
}

}  // namespace doppel::machine
