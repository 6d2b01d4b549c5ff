#include "instance/keeper/options.h"

#include <cstdlib>
#include <cstring>

namespace doppel::instance {
namespace {

bool is(const char* word, const char* name) {
    return strcmp(word, name) == 0;
}

bool number(const char* text, uint64_t limit, uint64_t& value) {
    char* end = nullptr;
    if (*text < '0' || *text > '9') return false;
    value = strtoull(text, &end, 10);
    return *end == '\0' && value <= limit;
}

bool descriptor(const char* text, int& fd) {
    constexpr uint64_t kHighest = 1 << 20;
    uint64_t value = 0;
    if (!number(text, kHighest, value)) return false;
    fd = static_cast<int>(value);
    return true;
}

bool restart_from(const char* text, Restart& restart) {
    if (is(text, "no"))
        restart = Restart::kNo;
    else if (is(text, "on-failure"))
        restart = Restart::kOnFailure;
    else if (is(text, "always"))
        restart = Restart::kAlways;
    else
        return false;
    return true;
}

struct Word {
    const char* option;
    const char* KeeperOptions::*value;
};
constexpr Word kWords[] = {{"--id", &KeeperOptions::id},           {"--name", &KeeperOptions::name},
                           {"--machine", &KeeperOptions::machine}, {"--directory", &KeeperOptions::directory},
                           {"--runtime", &KeeperOptions::runtime}, {"--events", &KeeperOptions::events},
                           {"--at-end", &KeeperOptions::at_end}};
struct Descriptor {
    const char* option;
    int KeeperOptions::*value;
};
constexpr Descriptor kDescriptors[] = {{"--specification", &KeeperOptions::specification},
                                       {"--lock", &KeeperOptions::lock},
                                       {"--report", &KeeperOptions::report},
                                       {"--attach", &KeeperOptions::attach}};

bool take(const char* option, const char* value, KeeperOptions& options) {
    for (const Word& word : kWords)
        if (is(option, word.option)) return options.*word.value = value, true;
    for (const Descriptor& one : kDescriptors)
        if (is(option, one.option)) return descriptor(value, options.*one.value);
    if (is(option, "--restart")) return restart_from(value, options.restart);
    if (is(option, "--log-limit")) return number(value, UINT64_MAX, options.log_limit);
    return false;
}

}  // namespace

bool parse_options(int argc, char** argv, KeeperOptions& options) {
    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || !take(argv[i], argv[i + 1], options)) return false;
    return options.id && options.name && options.machine && options.directory && options.runtime && options.events &&
           options.specification >= 0 && options.lock >= 0;
}

}  // namespace doppel::instance
