// The frames of a network as a pcapng file.
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "cli/network/verbs.h"
#include "network/lan/folder.h"

namespace doppel::cli::network {

namespace lan = doppel::network::lan;

namespace {

constexpr uint32_t kEnhancedPacket = 6;
constexpr size_t kMaxBlock = 128 << 10;
constexpr uint64_t kSecond = 1'000'000'000, kMillisecond = 1'000'000;

Result<UniqueFd> open_output(const std::string& path) {
    constexpr mode_t kMode = 0600;  // it holds what others have said
    UniqueFd file(path == "-" ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
                              : open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode));
    if (!file) return fail(Error::system("capture", path, errno));
    return file;
}

UniqueFd ending_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    return UniqueFd(signalfd(-1, &set, SFD_CLOEXEC));
}

}  // namespace

Result<int> capture(const CaptureCommand& command) {
    DOPPEL_TRY(const lan::Folder folder, lan::Folder::of_user());
    std::optional<UniqueFd> socket;
    if (lan::is_label(command.name)) {
        DOPPEL_TRY(socket, folder.connect(command.name));
    }
    if (!socket)
        return fail(Error{"capture", command.name, "no network of this name runs", "doppel network ls lists them"});
    const int link = socket->get();
    DOPPEL_TRY(const UniqueFd output, open_output(command.output));
    lan::Json request{{"do", "capture"}};
    if (!command.port.empty()) request["port"] = command.port;
    const UniqueFd signals = ending_signals();
    DOPPEL_TRY(const auto started, lan::ask(link, request));
    const uint64_t end = command.seconds == 0 ? 0 : host_clock().monotonic() + command.seconds * kSecond;
    std::vector<uint8_t> block(kMaxBlock);
    for (uint64_t frames = 0; command.frames == 0 || frames < command.frames;) {
        const uint64_t now = host_clock().monotonic();
        if (end != 0 && now >= end) return 0;
        pollfd wait[] = {{link, POLLIN, 0}, {signals.get(), POLLIN, 0}};
        const int patience = end == 0 ? -1 : static_cast<int>((end - now) / kMillisecond + 1);
        if (poll(wait, 2, patience) < 0 && errno != EINTR) return fail(Error::system("capture", command.name, errno));
        if (wait[1].revents != 0) return 0;
        if (wait[0].revents == 0) continue;
        const ssize_t got = recv(link, block.data(), block.size(), 0);
        if (got <= 0) return fail(Error{"capture", command.name, "its switch is gone", ""});
        if (!write_all(output.get(), {block.data(), static_cast<size_t>(got)}))
            return fail(Error::system("capture", command.output, errno));
        uint32_t type = 0;
        std::memcpy(&type, block.data(), sizeof type);
        frames += type == kEnhancedPacket ? 1 : 0;
    }
    return 0;
}

}  // namespace doppel::cli::network
