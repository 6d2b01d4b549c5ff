// The file system, TCP ports and signals, taken away by landlock.
// Source: Linux, Documentation/userspace-api/landlock.rst; include/uapi/linux/landlock.h of 6.12, which distributions'
// headers may not have yet.
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/instrumented.h"
#include "base/unique_fd.h"
#include "machine/sandbox/sandbox.h"

namespace doppel::machine::sandbox {
namespace {

struct RulesetAttributes {
    uint64_t handled_files;
    uint64_t handled_network;
    uint64_t scoped;
};

constexpr unsigned kCreateRulesetVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION

// How many of the LANDLOCK_ACCESS_FS_ bits, from bit 0, each version of the interface knows.
constexpr std::array kFileRights{13, 14, 15, 15, 16};
// LANDLOCK_RULE_PATH_BENEATH and its structure.
constexpr unsigned kPathBeneath = 1;
struct [[gnu::packed]] PathBeneath {
    uint64_t allowed;
    int32_t folder;
};
// WRITE_FILE, READ_FILE, READ_DIR, REMOVE_FILE, MAKE_REG, TRUNCATE
constexpr uint64_t kWorkingRights = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 8 | 1 << 14;
// READ_FILE, READ_DIR; and WRITE_FILE, REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, MAKE_SYM, REFER, TRUNCATE
constexpr uint64_t kReadShareRights = 1 << 2 | 1 << 3;
constexpr uint64_t kWriteShareRights =
    kReadShareRights | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 12 | 1 << 13 | 1 << 14;
constexpr uint64_t kReadingRights = 1 << 0 | 1 << 2 | 1 << 3;  // EXECUTE, READ_FILE, READ_DIR
constexpr int kNetworkVersion = 4;
constexpr uint64_t kTcpRights = 1 << 0 | 1 << 1;  // BIND_TCP, CONNECT_TCP
constexpr int kScopeVersion = 6;
constexpr uint64_t kScopes = 1 << 0 | 1 << 1;  // ABSTRACT_UNIX_SOCKET, SIGNAL

// Everything that this version can deny.
RulesetAttributes everything(int version, Network network) {
    const auto known = std::min<size_t>(static_cast<size_t>(version), kFileRights.size());
    RulesetAttributes attributes{};
    attributes.handled_files = (uint64_t{1} << kFileRights[known - 1]) - 1;
    if (kInstrumented) attributes.handled_files &= ~kReadingRights;
    if (version >= kNetworkVersion && network == Network::kTaken) attributes.handled_network = kTcpRights;
    if (version >= kScopeVersion && !kInstrumented) attributes.scoped = kScopes;
    return attributes;
}

Result<Missing> confine(std::span<const PathBeneath> rules, Network network = Network::kTaken) {
    const auto version = static_cast<int>(syscall(SYS_landlock_create_ruleset, nullptr, 0, kCreateRulesetVersion));
    if (version < 1) {
        std::array<char, 128> buffer{};
        return Missing("this kernel gives no landlock (") + strerror_r(errno, buffer.data(), buffer.size()) +
               "): files are protected by the system-call filter alone";
    }
    const auto failed = [] { return fail(Error::system("confine the machine", "landlock", errno)); };
    const RulesetAttributes attributes = everything(version, network);
    const UniqueFd ruleset(static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
    // A kernel before the network rights takes the longer structure as long as the rest is 0.
    if (!ruleset) return failed();
    for (PathBeneath rule : rules) {
        rule.allowed &= attributes.handled_files;
        if (rule.allowed == 0) continue;  // a build that leaves these rights to all
        if (syscall(SYS_landlock_add_rule, ruleset.get(), kPathBeneath, &rule, 0) != 0) return failed();
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed();
    if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) return failed();
    return Missing();
}

}  // namespace

Result<Missing> confine_files(std::optional<int> folder) {
    if (!folder) return confine({});
    const PathBeneath rule{kWorkingRights, *folder};
    return confine({&rule, 1});
}

Result<Missing> confine_files(std::span<const SharedFolder> folders, Network network) {
    std::vector<PathBeneath> rules;
    for (const SharedFolder& shared : folders)
        rules.push_back({shared.read_only ? kReadShareRights : kWriteShareRights, shared.folder});
    return confine(rules, network);
}

}  // namespace doppel::machine::sandbox
