// Notes to the user beside the errors: one line each on stderr, "doppel: warning: ...".
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace doppel {

enum class LogLevel { kError, kWarning, kInfo, kDebug };

// Everything here is thread-safe. The level is the environment's DOPPEL_LOG (error, warn, info, debug), else kWarning.
LogLevel log_level();
void set_log_level(LogLevel level);

// Writes the message, printable, unless its level is beyond log_level().
void log_message(LogLevel level, std::string_view message);

template <class... Args>
void log_formatted(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
    if (level <= log_level()) log_message(level, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
    log_formatted(LogLevel::kError, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
    log_formatted(LogLevel::kWarning, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
    log_formatted(LogLevel::kInfo, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
    log_formatted(LogLevel::kDebug, format, std::forward<Args>(args)...);
}

}  // namespace doppel
