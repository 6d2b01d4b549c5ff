// What is left to do to a frame, done here, for those who cannot.
#pragma once

#include <functional>

#include "network/lan/ethernet.h"

namespace doppel::network::lan {

// Gives the frames that `frame` is when all is done: one, or the segments of a TCP or UDP packet. It has no tag, and
// offload_is_sound says that it can be done. Their bytes are valid for the call.
void finish(const Frame& frame, const std::function<void(std::span<const uint8_t>)>& take);

}  // namespace doppel::network::lan
