// doppel stats.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/sizes.h"
#include "cli/columns.h"
#include "cli/instance/sample.h"
#include "cli/instance/session.h"
#include "cli/instance/verbs.h"

namespace doppel::cli {

using instance::Instance;
using instance::RunState;
using instance::Store;
using Json = nlohmann::json;

namespace {

Json json_of(const Sample& one) {
    return {{"name", one.name},
            {"state", one.state},
            {"pid", one.pid},
            {"engine", one.engine},
            {"cpus", one.cpus},
            {"memory", one.memory},
            {"balloon", one.balloon},
            {"instructions", one.instructions},
            {"cpu_seconds", one.cpu_seconds},
            {"resident", one.resident},
            {"shared", one.shared},
            {"disk_read", one.disk_read},
            {"disk_written", one.disk_written},
            {"net_received", one.net_received},
            {"net_sent", one.net_sent}};
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
        {"disk_written", "doppel_disk_written_bytes_total", "counter", "Written to the host's disks."},
        {"net_received", "doppel_net_received_bytes_total", "counter", "Frames that the guest has got."},
        {"net_sent", "doppel_net_sent_bytes_total", "counter", "Frames that the guest has sent."}};
    for (const Metric& metric : kMetrics) {
        std::printf("# HELP %s %s\n# TYPE %s %s\n", metric.name, metric.help, metric.name, metric.type);
        for (const Json& one : all)
            if (one.contains(metric.key))
                std::printf("%s{name=\"%s\"} %s\n", metric.name, one["name"].get_ref<const std::string&>().c_str(),
                            one[metric.key].dump().c_str());
    }
}

void print_table(const std::vector<Sample>& all) {
    const std::vector<Column> columns{{"NAME"},           {"STATE"},          {"CPU", true},  {"INSTRUCTIONS", true},
                                      {"MEMORY", true},   {"RESIDENT", true}, {"READ", true}, {"WRITTEN", true},
                                      {"RECEIVED", true}, {"SENT", true}};
    std::vector<std::vector<std::string>> rows;
    for (const Sample& one : all)
        rows.push_back({one.name, one.state, fmt::format("{:.1f}s", one.cpu_seconds), std::to_string(one.instructions),
                        format_size_rounded(one.memory), format_size_rounded(one.resident),
                        format_size_rounded(one.disk_read), format_size_rounded(one.disk_written),
                        format_size_rounded(one.net_received), format_size_rounded(one.net_sent)});
    std::fputs(table(columns, rows).c_str(), stdout);
}

}  // namespace

Result<int> run_stats(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    std::vector<Sample> samples;
    int code = 0;
    if (arguments.operands().empty()) {
        samples = sample_all(store);
    } else {
        DOPPEL_TRY(code, for_each_name(arguments, store, [&](const Instance& one) -> Result<> {
                       if (one.state != RunState::kRunning) return fail(instance::not_running(one, "show statistics"));
                       samples.push_back(sample_of(store, one));
                       return {};
                   }));
    }
    Json all = Json::array();
    for (const Sample& one : samples) all.push_back(json_of(one));
    if (arguments.has("--json"))
        std::puts(all.dump(2).c_str());
    else if (arguments.has("--prometheus"))
        print_prometheus(all);
    else
        print_table(samples);
    return code;
}

}  // namespace doppel::cli
