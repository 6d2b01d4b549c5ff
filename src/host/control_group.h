// Control groups (cgroups(7)) of one's own: v1, v2 or both, delegated or not, tried where they might be had.
//
// A group of v1 belongs to one controller, one of v2 to all of them. What a group is called decides its owner: make and
// remove may be called for one that is there, or gone, already.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace doppel::host {

enum class Controller : uint8_t { kCpu, kMemory, kIo };
inline constexpr Controller kControllers[] = {Controller::kCpu, Controller::kMemory, Controller::kIo};
std::string_view name_of(Controller controller);  // cpu, memory, io

struct ControlGroup {
    Controller controller = Controller::kCpu;
    int version = 2;
    std::filesystem::path path;
    bool operator==(const ControlGroup&) const = default;
};

// Where a group might be made, the best place first: `path` is the parent's.
// `membership` is /proc/self/cgroup, `mounts` /proc/self/mountinfo.
std::vector<ControlGroup> control_group_places(Controller controller, std::string_view membership,
                                               std::string_view mounts);
std::vector<ControlGroup> control_group_places(Controller controller);

// Whether groups with the controller at work can be made at a place, which is made ready for them; if not, why, in
// words for the user.
Result<> open_place(const ControlGroup& place);
// After that.
Result<ControlGroup> make_control_group(const ControlGroup& place, const std::string& name);

// What a group limits; 0: nothing. False: the kernel's controller has no such limit, with errno set.
bool limit_cpu_weight(const ControlGroup& group, unsigned weight);  // 1 .. 10000, 100 is everybody's
bool limit_cpu_quota(const ControlGroup& group, unsigned percent);  // of one processor
bool limit_memory(const ControlGroup& group, uint64_t bytes);
bool limit_io_weight(const ControlGroup& group, unsigned weight);  // 1 .. 10000

// All threads of the process go into the group.
bool move_into(const ControlGroup& group, pid_t process);
// False: processes are left in it.
bool remove_control_group(const std::filesystem::path& path);
// What is left in a group is put out of it, where it can be (v1), or killed (v2).
void empty_control_group(const ControlGroup& group);

}  // namespace doppel::host
