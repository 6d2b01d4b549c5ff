#include "agent/client/client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "agent/client/transfer.h"
#include "base/entropy.h"
#include "base/unix_socket.h"

namespace doppel::agent::client {

namespace {

constexpr const char* kConnect = "connect to the agent";

// What is left of `patience` milliseconds, for poll; -1: without end.
class Deadline {
  public:
    explicit Deadline(int patience)
        : patience_(patience),
          end_(std::chrono::steady_clock::now() + std::chrono::milliseconds(std::max(patience, 0))) {}
    int left() const {
        if (patience_ < 0) return -1;
        const auto rest = std::chrono::ceil<std::chrono::milliseconds>(end_ - std::chrono::steady_clock::now());
        return static_cast<int>(std::max<int64_t>(rest.count(), 0));
    }

  private:
    int patience_;
    std::chrono::steady_clock::time_point end_;
};

}  // namespace

Result<Client> Client::connect(const std::filesystem::path& path, int patience) {
    if (path.native().size() > kMaxSocketPath) return fail(Error::system(kConnect, path, ENAMETOOLONG));
    const sockaddr_un address = unix_socket_address(path);
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const Deadline deadline(patience);
    // A blocking connect waits for its turn; the send timeout is what ends it (socket(7)).
    if (patience >= 0) {
        const timeval limit{patience / 1000, patience % 1000 * 1000 + 1};
        setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }
    if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return fail(Error::system(kConnect, path, errno == EAGAIN ? ETIMEDOUT : errno));
    }
    if (fcntl(socket.get(), F_SETFL, O_NONBLOCK) != 0) return fail(connection_broke(errno));
    Client client(std::move(socket));
    DOPPEL_CHECK(client.greet(deadline.left()));
    return client;
}

Result<> Client::greet(int patience) {
    Hello hello;
    std::array<uint8_t, sizeof hello.session> raw{};
    if (!host_entropy(raw)) return fail(connection_broke(EIO));
    std::memcpy(&hello.session, raw.data(), raw.size());
    Bytes bytes;
    append_hello(bytes, hello);
    if (::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) {
        return fail(connection_broke(errno));
    }
    const Deadline deadline(patience);
    while (true) {
        Frame frame;
        if (reader_.next(frame) == FrameReader::Found::kFrame) {
            const auto answer = parse_hello(frame.payload);
            if (!answer || answer->session != hello.session || !common_version(hello, *answer)) {
                return fail(
                    Error{kPurpose, "the machine", "it speaks another protocol", "use the doppel that started it"});
            }
            services_ = answer->services;
            return {};
        }
        pollfd wait{socket_.get(), POLLIN, 0};
        const int ready = poll(&wait, 1, deadline.left());
        if (ready == 0) {
            return fail(Error{kPurpose, "the guest", "no agent answers",
                              "start doppel-agent in it, or wait until it has booted"});
        }
        std::array<uint8_t, kMaxFrame> piece;
        const ssize_t got = ::read(socket_.get(), piece.data(), piece.size());
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (got <= 0) return fail(connection_broke(got < 0 ? errno : 0));
        reader_.feed({piece.data(), static_cast<size_t>(got)});
    }
}

Result<Outcome> Client::run(Service service, const Bytes& request, const Streams& streams) {
    if (request.size() > kMaxPayload) {
        return fail(Error{kPurpose, "the request", "it is longer than 32 KiB", "give fewer or shorter arguments"});
    }
    return Transfer(socket_.get(), reader_, next_channel_++, streams).run(service, request);
}

Error error_of(const Outcome& outcome, std::string failed) {
    Error error{std::move(failed), outcome.why, "", ""};
    switch (outcome.status) {
        case Status::kLost:
            return {std::move(error.failed), "the guest", outcome.why, "try again"};
        case Status::kNotFound:
            error.why = "there is no such program in the guest";
            break;
        case Status::kClosed:
            error.why = "it was given up";
            break;
        default:
            error.why = outcome.error != 0 ? std::strerror(static_cast<int>(outcome.error)) : "it failed in the guest";
    }
    return error;
}

Result<Statistics> get_statistics(Client& client) {
    std::optional<Statistics> statistics;
    Streams streams;
    streams.info = [&](const Bytes& info) { statistics = decode<Statistics>(info); };
    DOPPEL_TRY(const Outcome outcome, client.run(Service::kStatistics, {}, streams));
    if (outcome.status != Status::kDone) return fail(error_of(outcome, "ask for statistics"));
    if (!statistics) return fail(Error{"ask for statistics", "the guest", "its answer makes no sense", ""});
    return *statistics;
}

}  // namespace doppel::agent::client
