// How a request to a block device ended: nothing, or an errno value. Small, because every request has one.
#pragma once

#include <cerrno>
#include <string>

#include "base/result.h"

namespace doppel::storage {

class [[nodiscard]] Status {
  public:
    constexpr Status() = default;
    constexpr explicit Status(int error_number) : error_number_(error_number) {}

    constexpr bool ok() const { return error_number_ == 0; }
    // The host has no room: the request can be repeated when there is some, and nothing was damaged.
    constexpr bool no_space() const { return error_number_ == ENOSPC || error_number_ == EDQUOT; }
    constexpr int error_number() const { return error_number_; }
    constexpr bool operator==(const Status&) const = default;

    Result<> result(std::string failed, std::string subject) const {
        if (ok()) return {};
        return fail(Error::system(std::move(failed), std::move(subject), error_number_));
    }

  private:
    int error_number_ = 0;
};

// What the devices themselves answer.
inline constexpr Status kOk{};
inline constexpr Status kIoError{EIO};           // also: the image is corrupt where the request looked
inline constexpr Status kOutOfRange{EINVAL};     // beyond the device's end
inline constexpr Status kReadOnly{EROFS};        // the device was opened for reading
inline constexpr Status kNotSupported{ENOTSUP};  // this device cannot do it; another way may serve
inline constexpr Status kNoSpace{ENOSPC};

}  // namespace doppel::storage

#define DOPPEL_STORAGE_CHECK(expression)                                                       \
    do {                                                                                       \
        if (::doppel::storage::Status storage_checked_ = (expression); !storage_checked_.ok()) \
            co_return storage_checked_;                                                        \
    } while (false)
