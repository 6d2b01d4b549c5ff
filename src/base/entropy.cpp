#include "base/entropy.h"

#include <sys/random.h>

#include <cerrno>

namespace doppel {

bool host_entropy(std::span<uint8_t> to) {
    while (!to.empty()) {
        ssize_t got = ::getrandom(to.data(), to.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        to = to.subspan(static_cast<size_t>(got));
    }
    return true;
}

}  // namespace doppel
