#include "machine/user_network.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "network/link/process.h"

namespace doppel::machine {

namespace {

constexpr int kBufferBytes = 4 << 20;  // of frames on their way, each direction
constexpr const char* kProgram = "doppel-nat";

}  // namespace

Result<std::unique_ptr<network::link::SocketPort>> start_user_network(EventLoop& loop, const NetChoice& choice,
                                                                      const std::vector<network::Forward>& forwards) {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return fail(Error::system("start the network", "socketpair", errno));
    }
    UniqueFd ours(ends[0]);
    const UniqueFd its(ends[1]);
    for (int end : ends) setsockopt(end, SOL_SOCKET, SO_SNDBUF, &kBufferBytes, sizeof kBufferBytes);
    std::vector<std::string> words{std::to_string(network::link::kFirstDescriptor)};
    if (choice.restricted) words.emplace_back("--restrict");
    for (const network::Forward& forward : forwards) words.push_back(text_of(forward));
    const int link = its.get();
    DOPPEL_CHECK(network::link::start_beside(kProgram, {&link, 1}, words));
    DOPPEL_CHECK(network::link::hear_ready(ours.get(), kProgram));
    fcntl(ours.get(), F_SETFL, O_NONBLOCK);
    return network::link::SocketPort::create(loop, std::move(ours), {.checksum = true, .tcp4 = true, .tcp6 = true});
}

}  // namespace doppel::machine
