// Small things around system calls that every part of the agent uses.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "agent/messages.h"
#include "base/unique_fd.h"

namespace doppel::guest {

// The whole of a small file; empty when it cannot be read. Files in /proc and /sys, too.
std::string read_text(const char* path, size_t limit = 64 << 10);
// All of it, over short writes and EINTR; false with errno.
bool write_all(int fd, std::span<const uint8_t> bytes);
inline bool write_all(int fd, std::string_view text) {
    return write_all(fd, std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}
// To a file that is there, in one write, as /sys wants it; false with errno.
bool write_to(const char* path, std::string_view text);
// Beside the file, then renamed over it; false with errno, and the old file is as it was.
bool replace_file(const std::string& path, std::string_view content, mode_t mode);

// Runs a program of PATH (and of the folders for administrators) with its output thrown away; its exit code, 127 if it
// could not be run, 128 + N when signal N ended it.
int run(std::initializer_list<const char*> arguments);

// What failed, with errno.
agent::Outcome failure(std::string why, int error = errno);
agent::Outcome refusal(std::string why);

}  // namespace doppel::guest
