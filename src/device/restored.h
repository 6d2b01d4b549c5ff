// What restore() of a device says about saved state that no device could have had.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace doppel::device {

// An error that names the device and `what` ("its FIFO's count") unless `possible`.
inline Result<> check_restored(bool possible, std::string_view device, std::string_view what) {
    if (possible) return {};
    return fail(Error{"restore device", std::string(device), std::string(what) + " is impossible",
                      "the saved state is damaged: restore another one"});
}

}  // namespace doppel::device
