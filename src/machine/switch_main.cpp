// doppel-switch: the switch of one network, in a process of its own (network/lan). Started by the first member or by
// `doppel network`: `doppel-switch DEFINITION`, with the folder of sockets as descriptor 3 and a socket for its first
// message (network/link/process.h) as 4.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <memory>
#include <string>

#include "base/log.h"
#include "machine/sandbox/sandbox.h"
#include "machine/tap/tap_port.h"
#include "network/lan/folder.h"
#include "network/lan/server.h"
#include "network/link/process.h"
#include "network/link/socket_port.h"

namespace {

using namespace doppel;
namespace lan = doppel::network::lan;
namespace link = doppel::network::link;

constexpr int kFolder = link::kFirstDescriptor, kReady = kFolder + 1;
constexpr const char* kPurpose = "start the network";
constexpr const char* kNat = "doppel-nat";

// What it and its processes have to say, which outlive who started them: nobody waits for the end of their output.
void open_log(int folder, const std::string& name) {
    constexpr mode_t kMode = 0600;
    const UniqueFd log(openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, kMode));
    if (log) dup2(log.get(), STDERR_FILENO);
}

// Two descriptors of a process beside this one.
Result<> make_pair(std::array<UniqueFd, 2>& ends) {
    constexpr int kBufferBytes = 4 << 20;
    std::array<int, 2> made{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, made.data()) != 0)
        return fail(Error::system(kPurpose, "socketpair", errno));
    for (size_t i = 0; i < made.size(); i++) {
        ends[i].reset(made[i]);
        setsockopt(made[i], SOL_SOCKET, SO_SNDBUF, &kBufferBytes, sizeof kBufferBytes);
    }
    return {};
}

Result<lan::UplinkParts> start_nat(EventLoop& loop, const lan::NetworkOptions& options) {
    std::array<UniqueFd, 2> frames, control;
    DOPPEL_CHECK(make_pair(frames));
    DOPPEL_CHECK(make_pair(control));
    std::vector<std::string> words{
        std::to_string(link::kFirstDescriptor),         "--control",
        std::to_string(link::kFirstDescriptor + 1),     "--subnet",
        lan::text_of_ipv4(lan::address_in(options, 0)), lan::text_of_ipv6(lan::prefix6(options))};
    if (options.restricted) words.emplace_back("--restrict");
    const std::array descriptors{frames[1].get(), control[1].get()};
    DOPPEL_CHECK(link::start_beside(kNat, descriptors, words));
    DOPPEL_CHECK(link::hear_ready(frames[0].get(), kNat));
    fcntl(frames[0].get(), F_SETFL, O_NONBLOCK);
    lan::UplinkParts parts;
    DOPPEL_TRY(parts.port,
               link::SocketPort::create(loop, std::move(frames[0]), {.checksum = true, .tcp4 = true, .tcp6 = true}));
    parts.name = "nat";
    const auto socket = std::make_shared<UniqueFd>(std::move(control[0]));
    const auto ask = [socket](const std::string& request) -> Result<> {
        iovec part{const_cast<char*>(request.data()), request.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        if (sendmsg(socket->get(), &message, MSG_NOSIGNAL) < 0)
            return fail(Error::system("publish a port", kNat, errno));
        return link::hear_ready(socket->get(), kNat);
    };
    parts.publish = [ask](const std::string& forward, const std::string& address) {
        return ask("+" + forward + " " + address);
    };
    parts.withdraw = [ask](const std::string& forward) { (void)ask("-" + forward); };
    return parts;
}

Result<> confine(int folder) {
    DOPPEL_TRY(const auto no_landlock, machine::sandbox::confine_files(folder));
    if (!no_landlock.empty()) log_warning("network: {}", no_landlock);
    DOPPEL_TRY(
        const auto no_seccomp,
        machine::sandbox::confine_calls(
            {.accept_connections = true, .receive_descriptors = true, .link = true, .members = true, .files = true}));
    if (!no_seccomp.empty()) log_warning("network: {}", no_seccomp);
    return {};
}

Result<> watch_signals(EventLoop& loop, UniqueFd& signals) {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signals.reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals) return fail(Error::system(kPurpose, "signalfd", errno));
    return loop.watch(signals.get(), EPOLLIN, [&loop](uint32_t) { loop.stop(); });
}

Result<> serve(const lan::NetworkOptions& options, int folder) {
    open_log(folder, options.name + lan::kLogEnding);
    DOPPEL_TRY(const auto loop, EventLoop::create());
    UniqueFd signals;
    DOPPEL_CHECK(watch_signals(*loop, signals));
    DOPPEL_TRY(const auto server, lan::Server::open(*loop, options, folder));
    if (options.uplink == lan::Uplink::kNat) {
        DOPPEL_TRY(auto nat, start_nat(*loop, options));
        DOPPEL_CHECK(server->add_uplink(std::move(nat)));
    }
    if (options.uplink == lan::Uplink::kTap) {
        DOPPEL_TRY(auto tap, machine::open_tap(options.tap));
        lan::UplinkParts parts;
        DOPPEL_TRY(parts.port, machine::TapPort::create(*loop, std::move(tap)));
        parts.name = options.tap;
        DOPPEL_CHECK(server->add_uplink(std::move(parts)));
    }
    DOPPEL_CHECK(confine(folder));
    link::tell_ready(kReady);
    close(kReady);
    server->run();
    return {};
}

int start(const char* definition) {
    const auto options = lan::network_from_json(definition);
    // An open file of its own: the lock on the other one is the starter's.
    const UniqueFd folder(openat(kFolder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    fcntl(kReady, F_SETFD, FD_CLOEXEC);
    close(kFolder);
    if (!options || !folder) {
        link::tell_failed(kReady, options ? Error::system(kPurpose, "folder", errno) : options.error());
        return 1;
    }
    const auto served = serve(*options, folder.get());
    if (!served) link::tell_failed(kReady, served.error());
    return served ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2 || fcntl(kFolder, F_GETFD) < 0 || fcntl(kReady, F_GETFD) < 0) {
        log_error("doppel-switch is started by doppel");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    // It outlives who started it.
    if (const pid_t child = fork(); child != 0) _exit(child < 0 ? 1 : 0);
    setsid();
    return start(argv[1]);
}
