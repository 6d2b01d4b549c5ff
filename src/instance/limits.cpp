#include "instance/limits.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <thread>
#include <tuple>
#include <utility>

#include "base/file.h"
#include "base/sizes.h"
#include "host/control_group.h"
#include "host/scheduling.h"
#include "instance/keeper/layout.h"

namespace doppel::instance {
namespace {

namespace fs = std::filesystem;
using host::ControlGroup;
using host::Controller;
using machine::Limits;
using machine::Specification;

// What a cgroup can carry.
struct Kind {
    const char* key;
    const char* option;
    Controller controller;
    uint64_t (*value)(const Limits&);
    void (*set)(Limits&, uint64_t);
    bool (*carry)(const ControlGroup&, uint64_t);
};
constexpr std::array kKinds{
    Kind{"cpu_weight", "--cpu-weight", Controller::kCpu, [](const Limits& l) { return uint64_t{l.cpu_weight}; },
         [](Limits& l, uint64_t v) { l.cpu_weight = static_cast<unsigned>(v); },
         [](const ControlGroup& g, uint64_t v) { return host::limit_cpu_weight(g, static_cast<unsigned>(v)); }},
    Kind{"cpu_quota", "--cpu-quota", Controller::kCpu, [](const Limits& l) { return uint64_t{l.cpu_quota}; },
         [](Limits& l, uint64_t v) { l.cpu_quota = static_cast<unsigned>(v); },
         [](const ControlGroup& g, uint64_t v) { return host::limit_cpu_quota(g, static_cast<unsigned>(v)); }},
    Kind{"memory_limit", "--memory-limit", Controller::kMemory, [](const Limits& l) { return l.memory_limit; },
         [](Limits& l, uint64_t v) { l.memory_limit = v; },
         [](const ControlGroup& g, uint64_t v) { return host::limit_memory(g, v); }},
    Kind{"io_weight", "--io-weight", Controller::kIo, [](const Limits& l) { return uint64_t{l.io_weight}; },
         [](Limits& l, uint64_t v) { l.io_weight = static_cast<unsigned>(v); },
         [](const ControlGroup& g, uint64_t v) { return host::limit_io_weight(g, static_cast<unsigned>(v)); }}};

// The groups that carry limits, by the limits' keys.
using Groups = std::map<std::string, ControlGroup>;

std::string group_name(const std::string& id) {
    return "doppel-" + id;
}

// Nothing that is no group of this instance.
Groups read_groups(const fs::path& directory) {
    Groups groups;
    std::ifstream stream(directory / kCgroupsFile);
    std::string key, path;
    int version = 0;
    while (stream >> key >> version >> std::ws && std::getline(stream, path)) {
        const auto kind = std::ranges::find_if(kKinds, [&](const Kind& one) { return key == one.key; });
        if (kind == kKinds.end() || fs::path(path).filename() != group_name(directory.filename())) continue;
        groups[key] = {kind->controller, version, path};
    }
    return groups;
}

// Not synced: what a crash of the host loses it loses the groups of.
Result<> write_groups(const fs::path& directory, const Groups& groups) {
    const fs::path file = directory / kCgroupsFile, beside = directory / (std::string(kCgroupsFile) + ".new");
    if (groups.empty()) {
        if (unlink(file.c_str()) == 0 || errno == ENOENT) return {};
        return fail(Error::system("note the cgroups", file, errno));
    }
    std::string text;
    for (const auto& [key, group] : groups)
        text += key + " " + std::to_string(group.version) + " " + group.path.string() + "\n";
    const UniqueFd fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd && write_all(fd.get(), {reinterpret_cast<const uint8_t*>(text.data()), text.size()}) &&
        rename(beside.c_str(), file.c_str()) == 0)
        return {};
    return fail(Error::system("note the cgroups", file, errno));
}

bool used(const Groups& groups, const fs::path& path) {
    return std::ranges::any_of(groups, [&](const auto& one) { return one.second.path == path; });
}

Result<std::vector<ControlGroup>> places_for(Controller controller) {
    const char* asked = std::getenv("DOPPEL_CGROUPS");
    if (asked != nullptr && std::string_view(asked) == "off")
        return fail(Error{"make a cgroup", "", "DOPPEL_CGROUPS is off", ""});
    auto places = host::control_group_places(controller);
    if (places.empty())
        return fail(Error{"make a cgroup", "",
                          "this host has none with the controller " + std::string(host::name_of(controller)), ""});
    return places;
}

Result<> put(const Kind& kind, const ControlGroup& group, uint64_t value) {
    if (kind.carry(group, value)) return {};
    return fail(Error{"set the cgroup", group.path, std::strerror(errno), ""});
}

// Carries the limit in a group at one place. Noted before it is made: a kill in between leaves a note of what is not
// there, never a group without one.
Result<> carry_at(const fs::path& directory, const Kind& kind, const ControlGroup& place, uint64_t value) {
    DOPPEL_CHECK(host::open_place(place));
    Groups groups = read_groups(directory);
    const std::string name = group_name(directory.filename());
    groups[kind.key] = {kind.controller, place.version, place.path / name};
    DOPPEL_CHECK(write_groups(directory, groups));
    const auto made = host::make_control_group(place, name);
    const Result<> done = made ? put(kind, *made, value) : fail(made.error());
    if (done) return {};
    groups.erase(kind.key);
    if (made && !used(groups, made->path)) host::remove_control_group(made->path);
    DOPPEL_CHECK(write_groups(directory, groups));
    return done;
}

// Carries the limit in a group, or says why there is none.
Result<> carry(const fs::path& directory, const Kind& kind, uint64_t value) {
    const Groups groups = read_groups(directory);
    if (const auto known = groups.find(kind.key); known != groups.end()) return put(kind, known->second, value);
    DOPPEL_TRY(const auto places, places_for(kind.controller));
    Result<> done;
    std::optional<Error> first;
    for (const ControlGroup& place : places) {
        done = carry_at(directory, kind, place, value);
        if (done) return {};
        if (!first) first = done.error();
    }
    return fail(std::move(*first));
}

std::string words_for(const ControlGroup& group) {
    return "cgroup v" + std::to_string(group.version) + ": " + group.path.string();
}

// Without a cgroup.
std::string own_words(std::string_view key, uint64_t value) {
    if (key == "cpu_weight") return "nice value " + std::to_string(host::nice_for(static_cast<unsigned>(value)));
    if (key == "cpu_quota") return "pauses of its CPUs";
    if (key == "io_weight")
        return "I/O priority " + std::to_string(host::io_priority_for(static_cast<unsigned>(value))) + " of 0 to 7";
    if (key == "cpu_pin") return "the affinity of its threads";
    if (key == "memory_limit") return "its size";
    return "its disks";
}

std::string value_text(std::string_view key, uint64_t value) {
    if (value == 0) return {};
    if (key == "cpu_quota") return machine::quota_text(static_cast<unsigned>(value));
    if (key == "memory_limit" || key == "io_bps") return format_size(value);
    return std::to_string(value);
}

std::string pins_text(const Limits& limits) {
    std::string text;
    for (const machine::CpuPin& pin : limits.pins) text += (text.empty() ? "" : " ") + machine::text_of(pin);
    return text;
}

// What a machine may need of the host's memory, beside pages of files.
uint64_t largest_size(const Specification& machine) {
    const bool interprets = machine.engine == machine::EngineChoice::kInterpret;
    return machine.memory + (interprets ? 0 : machine.code_cache) + machine::kOwnMemory;
}

// Without a cgroup a machine keeps to a limit only by never being as large.
Result<> check_memory(const Specification& machine, const std::string& why) {
    if (machine.limits.memory_limit == 0 || machine.limits.memory_limit >= largest_size(machine)) return {};
    return fail(Error{"limit the memory", format_size(machine.limits.memory_limit),
                      "the machine may need " + format_size(largest_size(machine)) + ", and " + why,
                      "give it less --memory, or leave --memory-limit out"});
}

bool set_for_all(pid_t machine, const std::function<bool(pid_t)>& set) {
    bool all = true;
    for (const pid_t process : host::family_of(machine))
        for (const pid_t thread : host::threads_of(process))
            if (!set(thread) && errno != ESRCH) all = false;
    return all;
}

std::optional<int> hart_of(const std::string& thread) {
    constexpr std::string_view kName = "hart ";
    if (!thread.starts_with(kName)) return std::nullopt;
    return std::atoi(thread.c_str() + kName.size());
}

bool pin_all(pid_t machine, const Limits& limits) {
    int error = 0;
    for (const pid_t process : host::family_of(machine)) {
        for (const pid_t thread : host::threads_of(process)) {
            const auto hart = process == machine ? hart_of(host::thread_name(process, thread)) : std::nullopt;
            if (!host::set_processors(thread, machine::processors_for(limits, hart.value_or(-1))) && errno != ESRCH)
                error = errno;
        }
    }
    errno = error;
    return error == 0;
}

// One that runs and has no group for it, nor is to have one.
Result<> carry_without(const Kind& kind, uint64_t value, const Change& change) {
    const auto weight = static_cast<unsigned>(value);
    const std::string key = kind.key;
    bool done = true;
    if (key == "memory_limit") return check_memory(change.after, "it has no memory cgroup");
    if (key == "cpu_weight")
        done = set_for_all(change.machine, [&](pid_t one) { return host::set_cpu_weight(one, weight); });
    if (key == "io_weight")
        done = set_for_all(change.machine, [&](pid_t one) { return host::set_io_weight(one, weight); });
    if (done) return {};
    return fail(Error{"set " + key, std::to_string(value), std::strerror(errno),
                      errno == EACCES || errno == EPERM ? "only root may give more than there was" : ""});
}

Result<> move_family(const fs::path& directory, const Kind& kind, pid_t machine) {
    const Groups groups = read_groups(directory);
    const auto group = groups.find(kind.key);
    if (group == groups.end()) return {};
    for (const pid_t process : host::family_of(machine))
        if (!host::move_into(group->second, process) && errno != ESRCH)
            return fail(Error::system("move into the cgroup", group->second.path, errno));
    return {};
}

// What the machine itself sees to, as of now.
machine::control::Limits own_limits(const fs::path& directory, const Limits& limits) {
    const Groups groups = read_groups(directory);
    return {groups.contains("cpu_quota") ? 0 : limits.cpu_quota, limits.io_bps, limits.io_iops};
}

}  // namespace

Result<> prepare_limits(const fs::path& directory, Specification& machine) {
    if (!release_cgroups(directory, Leftovers::kPutOut))
        return fail(Error{"start", directory.filename(), "something runs in the cgroup of its last run",
                          "see its file cgroups"});
    for (const Kind& kind : kKinds) {
        const uint64_t value = kind.value(machine.limits);
        if (value == 0) continue;
        const Result<> carried = carry(directory, kind, value);
        if (carried) kind.set(machine.limits, 0);
        if (!carried && kind.controller == Controller::kMemory)
            DOPPEL_CHECK(check_memory(machine, "there is no cgroup for it: " + carried.error().message()));
    }
    return {};
}

Changed change_limits(const fs::path& directory, const Change& change) {
    Changed changed;
    const Limits &before = change.before.limits, &after = change.after.limits;
    const auto tell = [&](const std::string& key, const std::string& value, const Result<>& done, std::string by) {
        if (done) changed.now.push_back({key, value, std::move(by)});
        if (!done) changed.later.push_back({key, value, done.error().message()});
    };
    bool asks = before.io_bps != after.io_bps || before.io_iops != after.io_iops;
    for (const Kind& kind : kKinds) {
        const uint64_t old = kind.value(before), value = kind.value(after);
        if (old == value) continue;
        // Who saw to it so far goes on to.
        const bool own = old != 0 && !read_groups(directory).contains(kind.key);
        Result<> done = own ? fail(Error{}) : carry(directory, kind, value);
        if (done) {
            done = move_family(directory, kind, change.machine);
        } else {
            done = carry_without(kind, value, change);
            asks = asks || std::string_view(kind.key) == "cpu_quota";
            if (std::string_view(kind.key) == "cpu_quota") continue;
        }
        const Groups groups = read_groups(directory);
        const auto group = groups.find(kind.key);
        tell(kind.key, value_text(kind.key, value), done,
             group != groups.end() ? words_for(group->second) : own_words(kind.key, value));
    }
    if (before.pins != after.pins) {
        const Result<> done = pin_all(change.machine, after)
                                  ? Result<>()
                                  : fail(Error{"pin it", pins_text(after), std::strerror(errno), ""});
        tell("cpu_pin", pins_text(after), done, own_words("cpu_pin", 0));
    }
    if (!asks) return changed;
    const auto limits = own_limits(directory, after);
    const Result<> done = change.ask(limits);
    if (before.cpu_quota != after.cpu_quota && !read_groups(directory).contains("cpu_quota"))
        tell("cpu_quota", value_text("cpu_quota", after.cpu_quota), done, own_words("cpu_quota", 0));
    for (const auto& [key, old, value] :
         {std::tuple{"io_bps", before.io_bps, after.io_bps}, std::tuple{"io_iops", before.io_iops, after.io_iops}})
        if (old != value) tell(key, value_text(key, value), done, own_words(key, value));
    return changed;
}

bool has_cgroups(const fs::path& directory) {
    return access((directory / kCgroupsFile).c_str(), F_OK) == 0;
}

bool release_cgroups(const fs::path& directory, Leftovers leftovers) {
    if (!has_cgroups(directory)) return true;
    const int looks = leftovers == Leftovers::kLeave ? 0 : 50;
    constexpr auto kStep = std::chrono::milliseconds(10);
    bool all = true;
    for (const auto& [key, group] : read_groups(directory)) {
        bool gone = host::remove_control_group(group.path);
        if (!gone && errno == EBUSY && leftovers == Leftovers::kPutOut) host::empty_control_group(group);
        for (int i = 0; i < looks && !gone && errno == EBUSY; i++) {
            std::this_thread::sleep_for(kStep);
            gone = host::remove_control_group(group.path);
        }
        all = all && gone;
    }
    if (all) unlink((directory / kCgroupsFile).c_str());
    return all;
}

namespace {

std::vector<Carried> list(const Specification& machine, const std::function<std::string(const Kind&, uint64_t)>& by) {
    const Limits& limits = machine.limits;
    std::vector<Carried> all;
    for (const Kind& kind : kKinds)
        if (const uint64_t value = kind.value(limits); value != 0)
            all.push_back({kind.key, value_text(kind.key, value), by(kind, value)});
    for (const auto& [key, value] : {std::pair{"io_bps", limits.io_bps}, std::pair{"io_iops", limits.io_iops}})
        if (value != 0) all.push_back({key, value_text(key, value), own_words(key, value)});
    if (!limits.pins.empty()) all.push_back({"cpu_pin", pins_text(limits), own_words("cpu_pin", 0)});
    return all;
}

// By making one.
std::optional<ControlGroup> try_out(const Kind& kind, uint64_t value) {
    const auto places = places_for(kind.controller);
    if (!places) return std::nullopt;
    for (const ControlGroup& place : *places) {
        if (!host::open_place(place)) continue;
        const auto made = host::make_control_group(place, group_name("probe-" + std::to_string(getpid())));
        if (!made) continue;
        const bool carries = kind.carry(*made, value);
        host::remove_control_group(made->path);
        if (carries) return ControlGroup{place.controller, place.version, place.path};
    }
    return std::nullopt;
}

}  // namespace

std::vector<Carried> carried_limits(const fs::path& directory, const Specification& machine) {
    const Groups groups = read_groups(directory);
    return list(machine, [&](const Kind& kind, uint64_t value) {
        const auto group = groups.find(kind.key);
        return group != groups.end() ? words_for(group->second) : own_words(kind.key, value);
    });
}

std::vector<Carried> expected_limits(const Specification& machine, bool instance) {
    return list(machine, [&](const Kind& kind, uint64_t value) {
        const auto place = instance ? try_out(kind, value) : std::nullopt;
        if (place) return "cgroup v" + std::to_string(place->version) + ", below " + place->path.string();
        const bool nothing = kind.controller == Controller::kMemory && !check_without_cgroups(machine);
        return nothing ? std::string("nothing: it will not start") : own_words(kind.key, value);
    });
}

Result<> check_without_cgroups(const Specification& machine) {
    return check_memory(machine, "only an instance has a cgroup for it: give --name or --detach");
}

}  // namespace doppel::instance
