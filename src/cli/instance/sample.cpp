#include "cli/instance/sample.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/log.h"
#include "instance/lifecycle.h"

namespace doppel::cli {

using instance::Instance;
using instance::RunState;

namespace {

std::string text_of(pid_t pid, const char* file) {
    std::ifstream stream("/proc/" + std::to_string(pid) + "/" + file);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

uint64_t number_behind(const std::string& text, const std::string& word) {
    const size_t at = text.find(word);
    return at == text.npos ? 0 : std::strtoull(text.c_str() + at + word.size(), nullptr, 10);
}

// What the host knows of the process; 0 where it does not.
void add_usage(Sample& sample) {
    const std::string stat = text_of(sample.pid, "stat");
    // Behind the name, which may hold anything, the fields from the third on (proc(5)): 14 and 15 are the times.
    std::istringstream fields(stat.substr(std::min(stat.rfind(')') + 1, stat.size())));
    std::string field;
    constexpr int kUserTime = 14, kSystemTime = 15;
    uint64_t ticks = 0;
    for (int i = 3; i <= kSystemTime && fields >> field; i++)
        if (i >= kUserTime) ticks += std::strtoull(field.c_str(), nullptr, 10);
    sample.cpu_seconds = static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
    constexpr uint64_t kKilo = 1024;
    const std::string memory = text_of(sample.pid, "smaps_rollup"), io = text_of(sample.pid, "io");
    sample.resident = number_behind(memory, "\nRss:") * kKilo;
    sample.shared = (number_behind(memory, "Shared_Clean:") + number_behind(memory, "Shared_Dirty:")) * kKilo;
    sample.disk_read = number_behind(io, "\nread_bytes:");
    sample.disk_written = number_behind(io, "\nwrite_bytes:");
}

}  // namespace

Sample sample_of(const instance::Store& store, const Instance& running) {
    Sample sample;
    sample.name = running.row.name;
    sample.state = instance::name_of(running.state);
    sample.pid = running.record ? running.record->machine : 0;
    if (const auto status = instance::control(store, running, {})) {
        if (status->paused) sample.state = instance::name_of(RunState::kPaused);
        sample.engine = status->engine;
        sample.cpus = status->cpus;
        sample.memory = status->memory;
        sample.balloon = status->balloon;
        sample.instructions = status->instructions;
        sample.net_received = status->net_received;
        sample.net_sent = status->net_sent;
    }
    add_usage(sample);
    return sample;
}

std::vector<Sample> sample_all(instance::Store& store) {
    std::vector<Sample> samples;
    const auto instances = store.list();
    if (!instances) log_error("{}", instances.error().message());
    if (!instances) return samples;
    for (const Instance& one : *instances)
        if (one.state == RunState::kRunning) samples.push_back(sample_of(store, one));
    return samples;
}

}  // namespace doppel::cli
