#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/unique_fd.h"
#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {

// Makes a ring and asks it which operations it carries out.
Finding probe_io_uring() {
    const std::string lost = "the fast path of disks; preadv2 on threads serves instead";
    io_uring_params parameters{};
    UniqueFd ring(static_cast<int>(syscall(SYS_io_uring_setup, 4, &parameters)));
    if (!ring) return missing(failure("io_uring_setup", errno), lost);
    constexpr unsigned kOperations = 256;
    std::vector<uint64_t> room((sizeof(io_uring_probe) + kOperations * sizeof(io_uring_probe_op)) / sizeof(uint64_t));
    auto* answer = reinterpret_cast<io_uring_probe*>(room.data());
    if (syscall(SYS_io_uring_register, ring.get(), IORING_REGISTER_PROBE, answer, kOperations) != 0)
        return degraded(failure("a ring was made; ask for its operations", errno), lost);
    unsigned supported = 0;
    for (unsigned i = 0; i < answer->ops_len; i++)
        if ((answer->ops[i].flags & IO_URING_OP_SUPPORTED) != 0) supported++;
    return ok("a ring was made, " + std::to_string(supported) + " operations");
}

}  // namespace doppel::host
