// Which commands a busybox program carries.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace doppel::image {

// Read out of the program itself, untrusted: busybox keeps its applets' names as one sorted block of NUL-terminated
// strings that an empty one ends (applet_names in busybox's include/applet_tables.h, made by applets/applet_tables.c).
// Empty: no such block.
std::vector<std::string> busybox_applets(std::span<const uint8_t> program);

}  // namespace doppel::image
