// Random bytes from the host kernel's generator.
#pragma once

#include <cstdint>
#include <span>

namespace doppel {

// Fills all of `to`; false if the host cannot. Waits only while the host itself is still starting. Thread-safe.
[[nodiscard]] bool host_entropy(std::span<uint8_t> to);

}  // namespace doppel
