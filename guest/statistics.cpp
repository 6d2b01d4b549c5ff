#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "guest/system_call.h"
#include "guest/worker.h"

namespace doppel::guest {

namespace {

constexpr size_t kMaxDisks = 32;
constexpr size_t kMaxText = 256;

// "MemTotal:  1024 kB" in bytes.
uint64_t memory_value(const std::string& text, const char* name) {
    const size_t at = text.find(name);
    return at == text.npos ? 0 : std::strtoull(text.c_str() + at + std::string_view(name).size(), nullptr, 10) << 10;
}

// Behind `at`, up to the next blank; `at` goes on.
std::string next_word(const std::string& text, size_t& at) {
    const size_t begin = std::min(text.find_first_not_of(' ', at), text.size());
    at = std::min(text.find_first_of(" \n", begin), text.size());
    return text.substr(begin, std::min(at - begin, kMaxText));
}

uint32_t hundredths(const std::string& text) {
    return static_cast<uint32_t>(std::strtod(text.c_str(), nullptr) * 100 + 0.5);
}

uint64_t nanoseconds(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// File systems that something stands behind, and the root.
void add_disks(std::vector<agent::DiskStatistics>& disks) {
    const std::string mounts = read_text("/proc/mounts", 1 << 20);
    for (size_t line = 0; line < mounts.size() && disks.size() < kMaxDisks;) {
        size_t at = line;
        agent::DiskStatistics disk;
        disk.device = next_word(mounts, at);
        disk.mounted_on = next_word(mounts, at);
        disk.type = next_word(mounts, at);
        line = std::min(mounts.find('\n', at), mounts.size()) + 1;
        const bool backed = disk.device.starts_with("/") || disk.type == "virtiofs" || disk.type == "9p";
        const bool known = std::any_of(disks.begin(), disks.end(), [&](const auto& other) {
            return other.mounted_on == disk.mounted_on || (backed && other.device == disk.device);
        });
        struct statvfs status {};
        if (known || (!backed && disk.mounted_on != "/") || statvfs(disk.mounted_on.c_str(), &status) != 0) continue;
        disk.size = uint64_t{status.f_blocks} * status.f_frsize;
        disk.free = uint64_t{status.f_bavail} * status.f_frsize;
        disks.push_back(std::move(disk));
    }
}

}  // namespace

agent::Outcome tell_statistics(const Report& report) {
    agent::Statistics statistics;
    const std::string memory = read_text("/proc/meminfo");
    statistics.memory = memory_value(memory, "MemTotal:");
    statistics.memory_available = memory_value(memory, "MemAvailable:");
    statistics.swap = memory_value(memory, "SwapTotal:");
    statistics.swap_free = memory_value(memory, "SwapFree:");
    // proc(5): "0.20 0.18 0.12 1/80 11206"
    const std::string load = read_text("/proc/loadavg");
    size_t at = 0;
    statistics.load_1 = hundredths(next_word(load, at));
    statistics.load_5 = hundredths(next_word(load, at));
    statistics.load_15 = hundredths(next_word(load, at));
    const std::string processes = next_word(load, at);
    const size_t slash = processes.find('/');
    if (slash != processes.npos) {
        statistics.processes = static_cast<uint32_t>(std::strtoul(processes.c_str() + slash + 1, nullptr, 10));
    }
    statistics.uptime = nanoseconds(CLOCK_BOOTTIME);
    statistics.time = static_cast<int64_t>(nanoseconds(CLOCK_REALTIME));
    utsname names{};
    if (uname(&names) == 0) {
        statistics.hostname = names.nodename;
        statistics.kernel = names.release;
    }
    add_disks(statistics.disks);
    report.info(agent::encode(statistics));
    return {};
}

}  // namespace doppel::guest
