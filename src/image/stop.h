// The user's wish to stop work under way, as a file descriptor that becomes readable: a signalfd, an eventfd, a pipe.
#pragma once

#include <poll.h>

#include "base/result.h"

namespace doppel::image {

// A view: the descriptor's owner outlives it. Default: never asked to stop. Thread-safe, as poll(2) is.
class StopRequest {
  public:
    StopRequest() = default;
    explicit StopRequest(int fd) : fd_(fd) {}

    int fd() const { return fd_; }  // -1 when nobody can ask
    bool asked() const {
        if (fd_ < 0) return false;
        pollfd entry{fd_, POLLIN, 0};
        return ::poll(&entry, 1, 0) > 0;
    }
    // What a function returns when it was asked to stop. `subject`: what was being made.
    static Error error(std::string subject) {
        return {"make image", std::move(subject), "interrupted; nothing was kept",
                "run the command again to start over"};
    }

  private:
    int fd_ = -1;
};

}  // namespace doppel::image
