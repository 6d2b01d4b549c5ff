// How much of the host a machine uses, as far as it sees to that itself.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "host/scheduling.h"
#include "machine/machine.h"

namespace doppel::machine {

namespace {

Error wrong(const char* option, const std::string& value) {
    if (errno == EINVAL)
        return Error::usage(option, "this host has no such processors: " + value, "doppel doctor shows them");
    const bool denied = errno == EPERM || errno == EACCES;
    return Error{"keep to " + std::string(option), value, std::strerror(errno),
                 denied ? "only root may take more than everybody has" : ""};
}

}  // namespace

Result<> Machine::take_share() {
    const Limits& limits = specification_.limits;
    constexpr pid_t kSelf = 0;
    if (limits.cpu_weight != 0 && !host::set_cpu_weight(kSelf, limits.cpu_weight))
        return fail(wrong("--cpu-weight", std::to_string(limits.cpu_weight)));
    if (limits.io_weight != 0 && !host::set_io_weight(kSelf, limits.io_weight))
        return fail(wrong("--io-weight", std::to_string(limits.io_weight)));
    // Each is tried: harts have nobody to tell what is wrong.
    const auto anywhere = host::own_processors();
    for (const CpuPin& pin : limits.pins)
        if (!host::set_processors(kSelf, pin.processors)) return fail(wrong("--cpu-pin", text_of(pin)));
    const auto own = processors_for(limits, -1);
    if (!limits.pins.empty()) host::set_processors(kSelf, own.empty() ? anywhere : own);
    if (limits.cpu_quota != 0 && !specification_.gdb.empty())
        return fail(Error::usage("--cpu-quota", "a debugger alone decides when CPUs run", "leave --gdb out"));
    return {};
}

void Machine::place_hart(unsigned hart) const {
    const auto processors = processors_for(specification_.limits, static_cast<int>(hart));
    if (!processors.empty()) host::set_processors(0, processors);
}

Result<> Machine::keep_to(const control::Limits& limits) {
    if (limits.cpu_quota != 0 && debug_target_)
        return fail(Error{"keep to a quota", "the machine", "a debugger has it", ""});
    if (limits.cpu_quota > kMaxQuota)
        return fail(Error{"keep to a quota", "the machine", "it is more than any host has", ""});
    limits_ = limits;
    quota_->set(limits.cpu_quota);
    if (disks_) disks_->limit({limits.io_iops, 0}, {limits.io_bps, 0});
    return {};
}

}  // namespace doppel::machine
