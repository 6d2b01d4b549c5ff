#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {

Finding probe_landlock() {
    constexpr unsigned kCreateRulesetVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION
    const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0, kCreateRulesetVersion);
    if (version < 0)
        return missing(failure("landlock_create_ruleset", errno),
                       "the machine's own restriction to the files it was given");
    const std::string fact = "ABI " + std::to_string(version);
    if (version < 3) return degraded(fact, "restricting truncation (ABI 3) and renames across directories (ABI 2)");
    return ok(fact);
}

}  // namespace doppel::host
