#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <vector>

#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {
namespace {

struct Mount {
    std::string root;   // the part of the hierarchy that is mounted
    std::string point;  // where
    std::string type;   // cgroup or cgroup2
    std::string super;  // the super block's options: a v1 hierarchy's controllers are among them
};

// proc(5), /proc/self/mountinfo: id parent major:minor root point options [optional...] - type source super-options
std::vector<Mount> cgroup_mounts() {
    std::vector<Mount> mounts;
    std::istringstream lines(whole_text("/proc/self/mountinfo").value_or(""));
    for (std::string line; std::getline(lines, line);) {
        const size_t dash = line.find(" - ");
        if (dash == line.npos) continue;
        std::istringstream front(line.substr(0, dash));
        std::istringstream back(line.substr(dash + 3));
        std::string skip;
        std::string source;
        Mount mount;
        front >> skip >> skip >> skip >> mount.root >> mount.point;
        back >> mount.type >> source >> mount.super;
        if (mount.type == "cgroup" || mount.type == "cgroup2") mounts.push_back(mount);
    }
    return mounts;
}

// This process' group in the v2 hierarchy, from /proc/self/cgroup's line "0::/path".
std::string own_group() {
    std::istringstream lines(whole_text("/proc/self/cgroup").value_or(""));
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("0::")) return line.substr(3);
    return "/";
}

std::vector<std::string> v1_controllers(const std::vector<Mount>& mounts) {
    static const std::vector<std::string> kKnown{"blkio",    "cpu",        "cpuacct", "cpuset", "devices",
                                                 "freezer",  "hugetlb",    "memory",  "misc",   "net_cls",
                                                 "net_prio", "perf_event", "pids",    "rdma"};
    std::vector<std::string> found;
    for (const Mount& mount : mounts) {
        if (mount.type != "cgroup") continue;
        std::istringstream options(mount.super);
        for (std::string option; std::getline(options, option, ',');)
            if (std::ranges::find(kKnown, option) != kKnown.end()) found.push_back(option);
    }
    std::ranges::sort(found);
    return found;
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) text.append(text.empty() ? "" : " ").append(word);
    return text.empty() ? "none" : text;
}

bool has_word(const std::string& words, std::string_view wanted) {
    std::istringstream stream(words);
    for (std::string word; stream >> word;)
        if (word == wanted) return true;
    return false;
}

Finding judge_unified(const Mount& unified, const std::string& controllers) {
    std::string group = own_group();
    if (unified.root != "/" && group.starts_with(unified.root)) group.erase(0, unified.root.size());
    const std::string path = unified.point + group;
    const bool delegated = access(path.c_str(), W_OK) == 0 && access((path + "/cgroup.procs").c_str(), W_OK) == 0;
    const std::string fact =
        "v2, controllers: " + controllers + (delegated ? ", delegated to this user" : ", not delegated");
    for (const char* needed : {"cpu", "memory", "pids", "io"})
        if (!has_word(controllers, needed))
            return degraded(fact, "limits on " + std::string(needed) + " of containers and machines");
    if (!delegated) return degraded(fact, "limits on CPU, memory and processes without root");
    return ok(fact);
}

}  // namespace

Finding probe_cgroups() {
    const auto mounts = cgroup_mounts();
    const auto unified = std::ranges::find(mounts, "cgroup2", &Mount::type);
    const auto legacy = v1_controllers(mounts);
    if (mounts.empty())
        return missing("no cgroup hierarchy is mounted", "limits and statistics of containers and machines");
    const std::string controllers =
        unified == mounts.end() ? "" : first_line(unified->point + "/cgroup.controllers").value_or("");
    if (unified != mounts.end() && legacy.empty()) return judge_unified(*unified, controllers);
    const std::string lost = "limits without root, pressure and out-of-memory handling by group, which need v2";
    if (unified == mounts.end()) return degraded("v1 only, controllers: " + joined(legacy), lost);
    return degraded("hybrid, v1 controllers: " + joined(legacy) +
                        "; v2 controllers: " + (controllers.empty() ? "none" : controllers),
                    lost);
}

}  // namespace doppel::host
