// How much of the host a machine may use: what --cpu-weight, --cpu-quota, --memory-limit, --io-weight, --io-bps,
// --io-iops and --cpu-pin say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace doppel::machine {

// The processors of the host that all of a machine's threads, or those of one of its CPUs, run on.
struct CpuPin {
    int cpu = -1;                      // the machine's; -1: all threads that have no pin of their own
    std::vector<unsigned> processors;  // the host's, ascending, each once, at least one
    bool operator==(const CpuPin&) const = default;
};
inline constexpr unsigned kMaxProcessor = 1023;
inline constexpr size_t kMaxPins = 17;

// 0 is no limit.
struct Limits {
    unsigned cpu_weight = 0;    // its share where processors are short: 1 .. kMaxWeight, everybody's is 100
    unsigned cpu_quota = 0;     // percent of one processor
    uint64_t memory_limit = 0;  // bytes of the host's memory, for all of its processes
    unsigned io_weight = 0;     // its share of the host's disks: 1 .. kMaxWeight
    uint64_t io_bps = 0;        // bytes a second that its disks read and write, all together
    uint64_t io_iops = 0;       // requests a second
    std::vector<CpuPin> pins;   // one for each cpu at most
    bool operator==(const Limits&) const = default;
};
inline constexpr unsigned kMaxWeight = 10'000;
inline constexpr unsigned kMinQuota = 1, kMaxQuota = 102'400;    // percent
inline constexpr uint64_t kMinMemoryLimit = uint64_t{32} << 20;  // bytes
inline constexpr uint64_t kOwnMemory = uint64_t{64} << 20;       // bytes that a machine needs beside the guest's

// "150%" or "150"; "0" is none. Errors of all of these are of kind usage and name the option.
Result<unsigned> quota_from(std::string_view text);
std::string quota_text(unsigned percent);
// [CPU:]LIST, where LIST is 0-2,5.
Result<CpuPin> pin_from(std::string_view text);
std::string text_of(const CpuPin& pin);

// `cpus` are the machine's.
Result<> validate(const Limits& limits, unsigned cpus);

// What the host's processors are for CPU `cpu` of the machine, or for its other threads (-1); empty: any.
std::vector<unsigned> processors_for(const Limits& limits, int cpu);

}  // namespace doppel::machine
