// doppel stats.
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/sizes.h"
#include "cli/instance/session.h"
#include "cli/instance/verbs.h"

namespace doppel::cli {

using instance::Instance;
using instance::RunState;
using instance::Store;
using Json = nlohmann::json;

namespace {

// What the host knows of a process; 0 where it does not.
struct Usage {
    double cpu_seconds = 0;
    uint64_t resident = 0, shared = 0, disk_read = 0, disk_written = 0;  // bytes
};

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

Usage usage_of(pid_t pid) {
    Usage usage;
    const std::string stat = text_of(pid, "stat");
    // Behind the name, which may hold anything, the fields from the third on (proc(5)): 14 and 15 are the times.
    std::istringstream fields(stat.substr(std::min(stat.rfind(')') + 1, stat.size())));
    std::string field;
    constexpr int kUserTime = 14, kSystemTime = 15;
    uint64_t ticks = 0;
    for (int i = 3; i <= kSystemTime && fields >> field; i++)
        if (i >= kUserTime) ticks += std::strtoull(field.c_str(), nullptr, 10);
    usage.cpu_seconds = static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
    constexpr uint64_t kKilo = 1024;
    const std::string memory = text_of(pid, "smaps_rollup"), io = text_of(pid, "io");
    usage.resident = number_behind(memory, "\nRss:") * kKilo;
    usage.shared = (number_behind(memory, "Shared_Clean:") + number_behind(memory, "Shared_Dirty:")) * kKilo;
    usage.disk_read = number_behind(io, "\nread_bytes:");
    usage.disk_written = number_behind(io, "\nwrite_bytes:");
    return usage;
}

Json json_of(const Store& store, const Instance& one) {
    Json json{{"name", one.row.name}, {"state", instance::name_of(one.state)}};
    const auto status = instance::control(store, one, {});
    if (status) {
        if (status->paused) json["state"] = instance::name_of(RunState::kPaused);
        json["engine"] = status->engine;
        json["cpus"] = status->cpus;
        json["memory"] = status->memory;
        json["balloon"] = status->balloon;
        json["instructions"] = status->instructions;
    }
    const Usage usage = usage_of(one.record->machine);
    json["pid"] = one.record->machine;
    json["cpu_seconds"] = usage.cpu_seconds;
    json["resident"] = usage.resident;
    json["shared"] = usage.shared;
    json["disk_read"] = usage.disk_read;
    json["disk_written"] = usage.disk_written;
    return json;
}

void print_prometheus(const Json& all) {
    struct Metric {
        const char* key;
        const char* name;
        const char* type;
        const char* help;
    };
    constexpr Metric kMetrics[] = {
        {"cpu_seconds", "doppel_cpu_seconds_total", "counter", "Processor time of the machine's process."},
        {"instructions", "doppel_guest_instructions_total", "counter", "Instructions that the guest has executed."},
        {"memory", "doppel_memory_bytes", "gauge", "Memory of the machine."},
        {"resident", "doppel_resident_bytes", "gauge", "Memory of the host that its process uses."},
        {"shared", "doppel_shared_bytes", "gauge", "Of it, shared with other processes."},
        {"balloon", "doppel_balloon_bytes", "gauge", "Memory that the guest has handed back."},
        {"disk_read", "doppel_disk_read_bytes_total", "counter", "Read from the host's disks."},
        {"disk_written", "doppel_disk_written_bytes_total", "counter", "Written to the host's disks."}};
    for (const Metric& metric : kMetrics) {
        std::printf("# HELP %s %s\n# TYPE %s %s\n", metric.name, metric.help, metric.name, metric.type);
        for (const Json& one : all)
            if (one.contains(metric.key))
                std::printf("%s{name=\"%s\"} %s\n", metric.name, one["name"].get_ref<const std::string&>().c_str(),
                            one[metric.key].dump().c_str());
    }
}

void print_table(const Json& all) {
    std::printf("%-20s %-8s %10s %16s %10s %10s %10s %10s\n", "NAME", "STATE", "CPU", "INSTRUCTIONS", "MEMORY",
                "RESIDENT", "READ", "WRITTEN");
    const auto size = [](const Json& one, const char* key) {
        return one.contains(key) ? format_size_rounded(one[key].get<uint64_t>()) : std::string("-");
    };
    for (const Json& one : all)
        std::printf("%-20s %-8s %9.1fs %16llu %10s %10s %10s %10s\n", one["name"].get_ref<const std::string&>().c_str(),
                    one["state"].get<std::string>().c_str(), one["cpu_seconds"].get<double>(),
                    static_cast<unsigned long long>(one.value("instructions", uint64_t{0})),
                    size(one, "memory").c_str(), size(one, "resident").c_str(), size(one, "disk_read").c_str(),
                    size(one, "disk_written").c_str());
}

}  // namespace

Result<int> run_stats(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    Json all = Json::array();
    int code = 0;
    if (arguments.operands().empty()) {
        DOPPEL_TRY(const std::vector<Instance> instances, store.list());
        for (const Instance& one : instances)
            if (one.state == RunState::kRunning) all.push_back(json_of(store, one));
    } else {
        DOPPEL_TRY(code, for_each_name(arguments, store, [&](const Instance& one) -> Result<> {
                       if (one.state != RunState::kRunning) return fail(instance::not_running(one, "show statistics"));
                       all.push_back(json_of(store, one));
                       return {};
                   }));
    }
    if (arguments.has("--json"))
        std::puts(all.dump(2).c_str());
    else if (arguments.has("--prometheus"))
        print_prometheus(all);
    else
        print_table(all);
    return code;
}

}  // namespace doppel::cli
