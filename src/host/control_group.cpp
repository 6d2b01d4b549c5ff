#include "host/control_group.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/unique_fd.h"

namespace doppel::host {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kPeriod = 100'000;  // microseconds, of quotas: the kernel's own default
constexpr unsigned kEverybodys = 100;  // the weight of v2 that a group has of itself

// The controller's file system of v1 may bear another name.
std::string_view old_name_of(Controller controller) {
    return controller == Controller::kIo ? "blkio" : name_of(controller);
}

// By whose presence a group shows that the controller is at work in it.
const char* sign_of(const ControlGroup& group) {
    const bool newer = group.version == 2;
    switch (group.controller) {
        case Controller::kCpu:
            return newer ? "cpu.max" : "cpu.shares";
        case Controller::kMemory:
            return newer ? "memory.max" : "memory.limit_in_bytes";
        case Controller::kIo:
            break;
    }
    return newer ? "io.stat" : "blkio.reset_stats";
}

std::vector<std::string> parts_of(std::string_view text, char separator) {
    std::vector<std::string> parts;
    std::istringstream stream{std::string(text)};
    for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
    return parts;
}

bool contains(const std::vector<std::string>& words, std::string_view word) {
    return std::ranges::find(words, word) != words.end();
}

std::string text_of(const fs::path& path) {
    std::ifstream stream(path);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

std::vector<std::string> words_in(const fs::path& path) {
    std::string text = text_of(path);
    std::ranges::replace(text, '\n', ' ');
    return parts_of(text, ' ');
}

// "\040" and the like (proc(5), mountinfo).
std::string unescaped(std::string_view text) {
    std::string plain;
    constexpr size_t kDigits = 3;
    for (size_t i = 0; i < text.size(); i++) {
        const std::string_view digits = text.substr(std::min(i + 1, text.size()), kDigits);
        const bool escape = text[i] == '\\' && digits.size() == kDigits &&
                            std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '7'; });
        if (escape) {
            plain += static_cast<char>((digits[0] - '0') * 64 + (digits[1] - '0') * 8 + (digits[2] - '0'));
            i += kDigits;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

struct Mount {
    int version = 0;
    fs::path root, point;
    std::vector<std::string> options;
};

std::vector<Mount> cgroup_mounts(std::string_view mounts) {
    constexpr size_t kRoot = 3, kPoint = 4, kAtLeast = 6;
    std::vector<Mount> found;
    for (const std::string& line : parts_of(mounts, '\n')) {
        const std::vector<std::string> fields = parts_of(line, ' ');
        const auto dash = std::ranges::find(fields, "-");
        if (fields.size() < kAtLeast || fields.end() - dash < 4) continue;
        const int version = dash[1] == "cgroup2" ? 2 : dash[1] == "cgroup" ? 1 : 0;
        if (version == 0) continue;
        found.push_back({version, unescaped(fields[kRoot]), unescaped(fields[kPoint]), parts_of(dash[3], ',')});
    }
    return found;
}

// The caller's own group, as a path below the mount; nothing: the mount does not show it.
std::optional<fs::path> own_group(const Mount& mount, const std::string& group) {
    const fs::path inside = fs::path(group).lexically_relative(mount.root);
    if (group.find("/..") != group.npos || inside.empty() || *inside.begin() == "..") return std::nullopt;
    return inside == "." ? mount.point : (mount.point / inside).lexically_normal();
}

std::string group_in(const std::vector<std::string>& lines, Controller controller, int version) {
    for (const std::string& line : lines) {
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == line.npos || second == line.npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const bool is_it =
            version == 2 ? controllers.empty() : contains(parts_of(controllers, ','), old_name_of(controller));
        if (is_it) return line.substr(second + 1);
    }
    return {};
}

// A group of v2 that has processes gives no controllers to those below it, so the nearest one above it that does.
void add_newer(Controller controller, const Mount& mount, const fs::path& own, std::vector<ControlGroup>& places) {
    for (fs::path at = own; places.size() < 64; at = at.parent_path()) {
        places.push_back({controller, 2, at});
        if (at == mount.point || at == at.parent_path()) return;
    }
}

bool put(const fs::path& file, const std::string& text) {
    const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool has_controller(const ControlGroup& place) {
    if (place.version == 1) return true;
    const std::string name(name_of(place.controller));
    if (!contains(words_in(place.path / "cgroup.controllers"), name)) {
        errno = EOPNOTSUPP;
        return false;
    }
    return contains(words_in(place.path / "cgroup.subtree_control"), name) ||
           put(place.path / "cgroup.subtree_control", "+" + name);
}

Error refused(const ControlGroup& place, int error) {
    return Error{"make a cgroup", place.path,
                 error == EOPNOTSUPP ? "the controller is not there" : std::strerror(error), ""};
}

}  // namespace

std::string_view name_of(Controller controller) {
    switch (controller) {
        case Controller::kCpu:
            return "cpu";
        case Controller::kMemory:
            return "memory";
        case Controller::kIo:
            break;
    }
    return "io";
}

std::vector<ControlGroup> control_group_places(Controller controller, std::string_view membership,
                                               std::string_view mounts) {
    const std::vector<std::string> lines = parts_of(membership, '\n');
    std::vector<ControlGroup> places;
    for (const Mount& mount : cgroup_mounts(mounts)) {
        if (mount.version == 1 && !contains(mount.options, old_name_of(controller))) continue;
        const std::string group = group_in(lines, controller, mount.version);
        const auto own = group.empty() ? std::nullopt : own_group(mount, group);
        if (!own) continue;
        if (mount.version == 2)
            add_newer(controller, mount, *own, places);
        else
            places.push_back({controller, 1, *own});
    }
    return places;
}

std::vector<ControlGroup> control_group_places(Controller controller) {
    return control_group_places(controller, text_of("/proc/self/cgroup"), text_of("/proc/self/mountinfo"));
}

Result<> open_place(const ControlGroup& place) {
    if (access(place.path.c_str(), W_OK) != 0 || access((place.path / "cgroup.procs").c_str(), W_OK) != 0 ||
        !has_controller(place))
        return fail(refused(place, errno));
    return {};
}

Result<ControlGroup> make_control_group(const ControlGroup& place, const std::string& name) {
    const ControlGroup group{place.controller, place.version, place.path / name};
    const bool made = mkdir(group.path.c_str(), 0755) == 0;
    if (!made && errno != EEXIST) return fail(refused(place, errno));
    if (access((group.path / sign_of(group)).c_str(), F_OK) == 0) return group;
    if (made) rmdir(group.path.c_str());
    return fail(refused(place, EOPNOTSUPP));
}

bool limit_cpu_weight(const ControlGroup& group, unsigned weight) {
    if (weight == 0) weight = kEverybodys;
    if (group.version == 2) return put(group.path / "cpu.weight", std::to_string(weight));
    constexpr uint64_t kShares = 1024, kLeast = 2;  // everybody's, and the kernel's least
    return put(group.path / "cpu.shares", std::to_string(std::max(kLeast, weight * kShares / kEverybodys)));
}

bool limit_cpu_quota(const ControlGroup& group, unsigned percent) {
    constexpr uint64_t kWhole = 100;
    const std::string quota = std::to_string(percent * kPeriod / kWhole);
    if (group.version == 2)
        return put(group.path / "cpu.max", (percent == 0 ? "max" : quota) + " " + std::to_string(kPeriod));
    return put(group.path / "cpu.cfs_period_us", std::to_string(kPeriod)) &&
           put(group.path / "cpu.cfs_quota_us", percent == 0 ? "-1" : quota);
}

bool limit_memory(const ControlGroup& group, uint64_t bytes) {
    if (group.version == 2) return put(group.path / "memory.max", bytes == 0 ? "max" : std::to_string(bytes));
    return put(group.path / "memory.limit_in_bytes", bytes == 0 ? "-1" : std::to_string(bytes));
}

bool limit_io_weight(const ControlGroup& group, unsigned weight) {
    if (weight == 0) weight = kEverybodys;
    const std::string plain = std::to_string(weight);
    if (group.version == 2)
        return put(group.path / "io.weight", "default " + plain) || put(group.path / "io.bfq.weight", plain);
    constexpr unsigned kMost = 1000;  // of both of v1
    const std::string old = std::to_string(std::min(weight, kMost));
    return put(group.path / "blkio.bfq.weight", old) || put(group.path / "blkio.weight", old);
}

bool move_into(const ControlGroup& group, pid_t process) {
    return put(group.path / "cgroup.procs", std::to_string(process));
}

bool remove_control_group(const fs::path& path) {
    return rmdir(path.c_str()) == 0 || errno == ENOENT;
}

void empty_control_group(const ControlGroup& group) {
    if (group.version == 2) {
        put(group.path / "cgroup.kill", "1");
        return;
    }
    for (const std::string& process : words_in(group.path / "cgroup.procs"))
        put(group.path.parent_path() / "cgroup.procs", process);
}

}  // namespace doppel::host
