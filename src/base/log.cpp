#include "base/log.h"

#include <array>
#include <atomic>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/progress.h"

namespace doppel {

namespace {

struct Name {
    LogLevel level;
    std::string_view in_environment;
    std::string_view in_line;
};

constexpr std::array<Name, 4> kNames = {{{LogLevel::kError, "error", "error"},
                                         {LogLevel::kWarning, "warn", "warning"},
                                         {LogLevel::kInfo, "info", "info"},
                                         {LogLevel::kDebug, "debug", "debug"}}};

LogLevel level_from_environment() {
    const char* wanted = std::getenv("DOPPEL_LOG");
    if (wanted == nullptr) return LogLevel::kWarning;
    for (const Name& name : kNames) {
        if (name.in_environment == wanted) return name.level;
    }
    return LogLevel::kWarning;
}

std::atomic<LogLevel>& level_in_force() {
    static std::atomic<LogLevel> level{level_from_environment()};
    return level;
}

}  // namespace

LogLevel log_level() {
    return level_in_force();
}

void set_log_level(LogLevel level) {
    level_in_force() = level;
}

void log_message(LogLevel level, std::string_view message) {
    if (level > log_level()) return;
    std::string_view name = kNames[static_cast<size_t>(level)].in_line;
    write_past_progress(fmt::format("doppel: {}: {}\n", name, printable(std::string(message))));
}

}  // namespace doppel
