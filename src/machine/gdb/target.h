// What the protocol server debugs. It knows no instruction set: registers are numbers with a description.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::machine::gdb {

// The numbers of the Z packets.
enum class PointKind : uint8_t { kSoftware = 0, kHardware = 1, kWrite = 2, kRead = 3, kAccess = 4 };
// A breakpoint at `address`, or a watchpoint on `length` (1 or more) bytes that do not wrap; virtual addresses.
struct Point {
    PointKind kind = PointKind::kSoftware;
    uint64_t address = 0;
    uint64_t length = 0;
    auto operator<=>(const Point&) const = default;
};

enum class Motion : uint8_t { kStay, kRun, kStep };

// Why a thread stopped by itself.
struct Stop {
    enum class Reason : uint8_t { kStep, kBreakpoint, kWatchpoint };
    unsigned thread = 0;
    Reason reason = Reason::kStep;
    uint64_t address = 0;                 // of the breakpoint, or of the watched access
    PointKind kind = PointKind::kAccess;  // of the watchpoint
};

struct RegisterLayout {
    std::string description;      // the target description in XML; the registers stand in it by number
    std::vector<uint16_t> bytes;  // of each register
    size_t general = 0;           // the first of them, which a debugger wants at every stop
    size_t pc = 0;
    std::vector<size_t> expedited;  // sent along with a stop
};

enum class AddressSpace : uint8_t { kVirtual, kPhysical };
struct Place {
    unsigned thread = 0;  // by whose translation, if virtual
    AddressSpace space = AddressSpace::kVirtual;
    uint64_t address = 0;
};

// Everything belongs to one thread, the server's. Threads are numbers from 0 to thread_count() - 1. Registers and
// memory only while halted.
class Target {
  public:
    virtual ~Target() = default;

    virtual unsigned thread_count() const = 0;
    virtual std::string thread_info(unsigned thread) = 0;  // for a person

    // Whether any thread may be executing.
    virtual bool running() const = 0;
    // When it returns no thread executes, and all state can be seen.
    virtual void halt() = 0;
    // One motion a thread. Stops that nobody took are forgotten.
    virtual void resume(std::span<const Motion> motions) = 0;
    // The threads that stopped since the last resume, in order; each once.
    virtual std::vector<Stop> take_stops() = 0;
    // Replaces all points; from the next resume on.
    virtual void set_points(std::span<const Point> points) = 0;

    virtual const RegisterLayout& registers() const = 0;
    // The register's bytes in the target's order; nullopt: it cannot be read now.
    virtual std::optional<std::string> read_register(unsigned thread, size_t number) = 0;
    // `bytes` has the register's size. False: it cannot be written, or not so.
    virtual bool write_register(unsigned thread, size_t number, std::string_view bytes) = 0;

    // Memory only, never devices. Returns how many bytes from the front could be read.
    virtual size_t read_memory(const Place& place, std::span<uint8_t> to) = 0;
    // All or nothing. Code that is written is what the guest executes then.
    virtual bool write_memory(const Place& place, std::span<const uint8_t> from) = 0;

    // A command that a person typed; the answer ends with a newline. nullopt: there is no such command.
    virtual std::optional<std::string> monitor(std::string_view command) = 0;
    virtual std::string monitor_help() const = 0;
    // Ends what is debugged. Asynchronous.
    virtual void kill() = 0;
};

}  // namespace doppel::machine::gdb
