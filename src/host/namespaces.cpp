#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {
namespace {

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

constexpr std::pair<const char*, int> kKinds[] = {
    {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID},       {"network", CLONE_NEWNET}, {"uts", CLONE_NEWUTS},
    {"ipc", CLONE_NEWIPC},  {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME},
};

bool can_enter(int flag) {
    const pid_t child = fork();
    if (child == 0) _exit(enter_namespaces(flag) ? 0 : 1);
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

Finding probe_namespaces() {
    std::string entered;
    std::string refused;
    for (const auto& [name, flag] : kKinds) {
        std::string& list = can_enter(flag) ? entered : refused;
        list.append(list.empty() ? "" : " ").append(name);
    }
    if (entered.empty()) return missing("none can be entered", "containers");
    if (!refused.empty())
        return degraded("entered: " + entered + "; refused: " + refused, "containers' own " + refused);
    return ok("entered: " + entered);
}

Finding probe_user_namespaces() {
    const bool root = geteuid() == 0;
    if (!enter_user_namespace())
        return missing(
            failure("unshare a user namespace", errno),
            root ? "containers whose root is not the host's" : "containers and private networks without root");
    if (geteuid() != 0) return degraded("entered, but the id maps do not hold", "containers without root");
    return ok("entered, this user is root inside");
}

Finding probe_nested_namespaces() {
    constexpr int kWanted = 4;  // a container in a container in a build's sandbox
    for (int depth = 1; depth <= kWanted; depth++)
        if (!enter_user_namespace())
            return (depth == 1 ? missing : degraded)(failure("at depth " + std::to_string(depth), errno),
                                                     "containers inside containers");
    return ok("user namespaces nest at least " + std::to_string(kWanted) + " deep");
}

}  // namespace doppel::host
