#include "host/scheduling.h"

#include <linux/ioprio.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>

namespace doppel::host {
namespace {

namespace fs = std::filesystem;

constexpr double kEverybodys = 100;

std::vector<pid_t> numbers_in(const fs::path& folder) {
    std::vector<pid_t> numbers;
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
        const std::string name = at->path().filename();
        pid_t number = 0;
        if (std::from_chars(name.data(), name.data() + name.size(), number).ec == std::errc())
            numbers.push_back(number);
    }
    std::ranges::sort(numbers);
    return numbers;
}

fs::path tasks_of(pid_t process) {
    return fs::path("/proc") / std::to_string(process) / "task";
}

}  // namespace

std::vector<pid_t> threads_of(pid_t process) {
    return numbers_in(tasks_of(process));
}

std::vector<pid_t> family_of(pid_t process) {
    constexpr size_t kMost = 1024;
    std::vector<pid_t> family{process};
    for (size_t i = 0; i < family.size() && family.size() < kMost; i++) {
        for (const pid_t thread : threads_of(family[i])) {
            std::ifstream children(tasks_of(family[i]) / std::to_string(thread) / "children");
            for (pid_t child = 0; children >> child;) family.push_back(child);
        }
    }
    return family;
}

std::string thread_name(pid_t process, pid_t thread) {
    std::ifstream stream(tasks_of(process) / std::to_string(thread) / "comm");
    std::string name;
    std::getline(stream, name);
    return name;
}

int nice_for(unsigned weight) {
    constexpr double kStep = 1.25;
    constexpr int kLeast = -20, kMost = 19;
    if (weight == 0) return 0;
    return std::clamp(static_cast<int>(std::lround(-std::log(weight / kEverybodys) / std::log(kStep))), kLeast, kMost);
}

int io_priority_for(unsigned weight) {
    constexpr int kMiddle = 4, kLowest = 7;
    if (weight == 0) return kMiddle;
    return std::clamp(kMiddle - static_cast<int>(std::lround(std::log2(weight / kEverybodys))), 0, kLowest);
}

bool set_cpu_weight(pid_t thread, unsigned weight) {
    return setpriority(PRIO_PROCESS, static_cast<id_t>(thread), nice_for(weight)) == 0;
}

bool set_io_weight(pid_t thread, unsigned weight) {
    const int priority = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, io_priority_for(weight));
    return syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, thread, priority) == 0;
}

std::vector<unsigned> own_processors() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<unsigned> all;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return all;
    for (unsigned i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set)) all.push_back(i);
    return all;
}

bool set_processors(pid_t thread, const std::vector<unsigned>& processors) {
    cpu_set_t set, got;
    CPU_ZERO(&set);
    for (const unsigned one : processors.empty() ? own_processors() : processors) {
        if (one >= CPU_SETSIZE) {
            errno = EINVAL;
            return false;
        }
        CPU_SET(one, &set);
    }
    cpu_set_t before;
    if (sched_getaffinity(thread, sizeof before, &before) != 0 || sched_setaffinity(thread, sizeof set, &set) != 0 ||
        sched_getaffinity(thread, sizeof got, &got) != 0)
        return false;
    if (CPU_EQUAL(&set, &got)) return true;
    // Linux leaves out silently what is not there.
    sched_setaffinity(thread, sizeof before, &before);
    errno = EINVAL;
    return false;
}

}  // namespace doppel::host
