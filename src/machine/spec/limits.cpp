#include "machine/spec/limits.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/sizes.h"

namespace doppel::machine {
namespace {

Error wrong_pin(std::string_view text, std::string why) {
    return Error::usage("--cpu-pin", std::string(text) + " " + std::move(why),
                        "give processors of the host such as 0-2,5, or CPU:0-2,5 for one of the machine's");
}

std::optional<unsigned> number_from(std::string_view text) {
    unsigned number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, problem] = std::from_chars(text.data(), end, number);
    if (text.empty() || problem != std::errc() || stop != end) return std::nullopt;
    return number;
}

// "3" or "0-2".
bool add_range(std::string_view text, std::vector<unsigned>& to) {
    const size_t dash = text.find('-');
    const auto first = number_from(text.substr(0, dash));
    const auto last = dash == text.npos ? first : number_from(text.substr(dash + 1));
    if (!first || !last || *last > kMaxProcessor || *first > *last) return false;
    for (unsigned one = *first; one <= *last; one++) to.push_back(one);
    return true;
}

Result<> check_weight(const char* option, unsigned weight) {
    if (weight <= kMaxWeight) return {};
    return fail(Error::usage(option, std::to_string(weight) + " is not between 1 and 10000", "100 is everybody's"));
}

}  // namespace

Result<unsigned> quota_from(std::string_view text) {
    const std::string_view digits = text.ends_with('%') ? text.substr(0, text.size() - 1) : text;
    const auto percent = number_from(digits);
    if (percent && *percent <= kMaxQuota) return *percent;
    return fail(Error::usage("--cpu-quota", std::string(text) + " is no part of processors",
                             "give percent of one processor, such as 50% or 150%"));
}

std::string quota_text(unsigned percent) {
    return percent == 0 ? "" : std::to_string(percent) + "%";
}

Result<CpuPin> pin_from(std::string_view text) {
    CpuPin pin;
    std::string_view list = text;
    if (const size_t colon = text.find(':'); colon != text.npos) {
        const auto cpu = number_from(text.substr(0, colon));
        if (!cpu || *cpu > kMaxProcessor) return fail(wrong_pin(text, "names no CPU"));
        pin.cpu = static_cast<int>(*cpu);
        list = text.substr(colon + 1);
    }
    while (true) {
        const size_t comma = list.find(',');
        if (!add_range(list.substr(0, comma), pin.processors)) return fail(wrong_pin(text, "is no list of processors"));
        if (comma == list.npos) break;
        list.remove_prefix(comma + 1);
    }
    std::ranges::sort(pin.processors);
    // Not ranges::unique: clang 14 cannot compile what libstdc++ 12 makes it return.
    pin.processors.erase(std::unique(pin.processors.begin(), pin.processors.end()), pin.processors.end());
    return pin;
}

std::string text_of(const CpuPin& pin) {
    std::string text;
    for (size_t i = 0; i < pin.processors.size();) {
        size_t last = i;
        while (last + 1 < pin.processors.size() && pin.processors[last + 1] == pin.processors[last] + 1) last++;
        text += (text.empty() ? "" : ",") + std::to_string(pin.processors[i]);
        if (last > i) text += "-" + std::to_string(pin.processors[last]);
        i = last + 1;
    }
    return pin.cpu < 0 ? text : std::to_string(pin.cpu) + ":" + text;
}

Result<> validate(const Limits& limits, unsigned cpus) {
    DOPPEL_CHECK(check_weight("--cpu-weight", limits.cpu_weight));
    DOPPEL_CHECK(check_weight("--io-weight", limits.io_weight));
    if (limits.cpu_quota > kMaxQuota)
        return fail(Error::usage("--cpu-quota", std::to_string(limits.cpu_quota) + " is more than any host has"));
    if (limits.memory_limit != 0 && limits.memory_limit < kMinMemoryLimit)
        return fail(Error::usage("--memory-limit", format_size(limits.memory_limit) + " is less than 32M"));
    std::set<int> seen;
    for (const CpuPin& pin : limits.pins) {
        if (pin.processors.empty() || pin.processors.back() > kMaxProcessor)
            return fail(Error::usage("--cpu-pin", "there are no such processors"));
        if (pin.cpu >= static_cast<int>(cpus))
            return fail(Error::usage("--cpu-pin", "the machine has no CPU " + std::to_string(pin.cpu),
                                     "they are counted from 0"));
        if (!seen.insert(pin.cpu).second)
            return fail(Error::usage("--cpu-pin", pin.cpu < 0 ? "all CPUs are pinned twice"
                                                              : "CPU " + std::to_string(pin.cpu) + " is pinned twice"));
    }
    return {};
}

std::vector<unsigned> processors_for(const Limits& limits, int cpu) {
    const CpuPin* best = nullptr;
    for (const CpuPin& pin : limits.pins)
        if (pin.cpu == cpu || (pin.cpu < 0 && best == nullptr)) best = &pin;
    return best != nullptr ? best->processors : std::vector<unsigned>();
}

}  // namespace doppel::machine
