// Steps that several probes share. All of them change the calling process for good: probes run in a child (probe.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "host/finding.h"

namespace doppel::host {

Finding ok(std::string fact);
Finding degraded(std::string fact, std::string lost);
Finding missing(std::string fact, std::string lost);
// "mount overlay: Operation not permitted"
std::string failure(std::string_view what, int error_number);

// The first line of a small file of /proc or /sys without its newline; nullopt when it cannot be read.
std::optional<std::string> first_line(const std::string& path);
std::optional<std::string> whole_text(const std::string& path);
std::optional<uint64_t> number_in(const std::string& path);
// The number behind `key` in a file of "Key:   123 kB" lines.
std::optional<uint64_t> number_after(const std::string& path, std::string_view key);

// Unshares `flags` (CLONE_NEW*), and, when that needs privilege that the process lacks, a user namespace with it in
// which it is root. False with errno set when the kernel refuses.
bool enter_namespaces(int flags);
// A user namespace in which the caller's ids are root's.
bool enter_user_namespace();
// A mount namespace of its own from which nothing propagates, with an empty tmpfs over /tmp.
bool enter_scratch_tmp();

}  // namespace doppel::host
