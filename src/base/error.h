// What failed, on what, why, and what to do about it: the one error type that crosses module boundaries.
#pragma once

#include <string>
#include <string_view>

namespace doppel {

// The text with every control character as '?': it may come from a guest or a file, and end up on a terminal.
std::string printable(std::string text);

// The classes of failure that the command line tells apart by exit code (CLI.md, "Exit codes").
enum class ErrorKind {
    kFailed,  // the operation could not be done: exit 1 (125 under run and exec)
    kUsage,   // the request itself is wrong: exit 2
};

// Printed as "doppel: FAILED: SUBJECT: WHY; CURE" on one line. Empty parts are left out.
struct Error {
    std::string failed;   // what failed, as an infinitive: "read kernel"
    std::string subject;  // on what: a path, an option, a device
    std::string why;      // the cause
    std::string cure;     // what the user can do
    ErrorKind kind = ErrorKind::kFailed;

    // The line without the "doppel: " in front, printable.
    std::string message() const;

    static Error usage(std::string subject, std::string why, std::string cure = {});
    // `why` is the text of `error_number` (an errno value); well-known ones (no space, no permission) bring their cure.
    static Error system(std::string failed, std::string subject, int error_number);
};

}  // namespace doppel
