// doppel doctor: what this host can do.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "host/probe.h"

namespace doppel::cli {
namespace {

using host::Finding;
using host::Status;

const char* colour_of(Status status) {
    switch (status) {
        case Status::kOk:
            return "\x1b[32m";
        case Status::kDegraded:
            return "\x1b[33m";
        case Status::kMissing:
            return "\x1b[31m";
    }
    return "";
}

void print(const std::vector<Finding>& findings) {
    const bool coloured = isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
    size_t width = 0;
    for (const Finding& finding : findings) width = std::max(width, finding.name.size());
    for (const Finding& finding : findings) {
        std::printf("%s%-8s%s  %-*s  %s", coloured ? colour_of(finding.status) : "",
                    host::name_of(finding.status).data(), coloured ? "\x1b[0m" : "", static_cast<int>(width),
                    finding.name.c_str(), finding.fact.c_str());
        if (!finding.lost.empty()) std::printf("; lost: %s", finding.lost.c_str());
        std::puts("");
    }
}

void print_json(const std::vector<Finding>& findings) {
    nlohmann::json list = nlohmann::json::array();
    for (const Finding& finding : findings)
        list.push_back({{"name", finding.name},
                        {"status", host::name_of(finding.status)},
                        {"fact", finding.fact},
                        {"lost", finding.lost}});
    std::puts(list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace

Result<int> run_doctor(const Arguments& arguments) {
    const auto findings = host::probe_all();
    if (arguments.has("--json"))
        print_json(findings);
    else
        print(findings);
    return 0;
}

Result<int> run_version(const Arguments& arguments) {
    std::puts(arguments.has("--json") ? R"({"version": ")" DOPPEL_VERSION R"("})" : "doppel " DOPPEL_VERSION);
    return 0;
}

}  // namespace doppel::cli
