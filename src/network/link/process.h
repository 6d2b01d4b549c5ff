// Processes that serve a network, beside the executable that this one is: their start, and the first message on the
// socket that they are given.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace doppel::network::link {

// Descriptors become 3, 4 and so on; it has no other ones but standard error and nothing to read and say otherwise.
inline constexpr int kFirstDescriptor = 3;

Result<pid_t> start_beside(const std::string& program, std::span<const int> descriptors,
                           const std::vector<std::string>& words);

// Waits for what the process says first: that all is well, or its error. `socket` is of a kind that keeps messages.
Result<> hear_ready(int socket, const std::string& program);
void tell_ready(int socket);
void tell_failed(int socket, const Error& error);

}  // namespace doppel::network::link
