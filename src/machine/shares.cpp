#include "machine/shares.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "device/virtio/fs/device.h"
#include "fuse/server.h"

namespace doppel::machine {

namespace {

constexpr size_t kOwnFiles = 512;         // what the rest of a machine has open at most
constexpr size_t kMostFiles = 64 * 1024;  // more serve nobody
constexpr unsigned kWorkers = 4, kMostWorkers = 8;

size_t raise_file_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 2 * kOwnFiles;
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, std::max<rlim_t>(limit.rlim_cur, kMostFiles));
    setrlimit(RLIMIT_NOFILE, &limit);
    return static_cast<size_t>(limit.rlim_cur);
}

Result<UniqueFd> make_changes_folder(sandbox::FileRemover& remover) {
    const char* place = std::getenv("TMPDIR");
    std::string path = std::string(place != nullptr && *place != 0 ? place : "/var/tmp") + "/doppel-share-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) return fail(Error::system("make a folder for changes", path, errno));
    if (auto added = remover.add(path); !added) {
        rmdir(path.c_str());
        return fail(added.error());
    }
    UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return fail(Error::system("make a folder for changes", path, errno));
    return folder;
}

}  // namespace

struct Shares::Share {
    ShareChoice choice;
    UniqueFd folder;
    UniqueFd changes;                      // of a snapshot
    std::unique_ptr<fuse::Server> server;  // until its device has it
    fuse::Server* serving = nullptr;
};

Shares::Shares(const std::vector<ShareChoice>& choices) {
    for (const ShareChoice& choice : choices) shares_.emplace_back().choice = choice;
}

Shares::~Shares() = default;

Result<std::unique_ptr<Shares>> Shares::open(const std::vector<ShareChoice>& choices, sandbox::FileRemover* remover) {
    std::unique_ptr<Shares> shares(new Shares(choices));
    DOPPEL_CHECK(shares->open_all(remover));
    return shares;
}

Result<> Shares::open_all(sandbox::FileRemover* remover) {
    if (shares_.empty()) return {};
    const size_t limit = raise_file_limit();
    const size_t each = (limit - std::min(limit / 2, kOwnFiles)) / shares_.size();
    for (Share& share : shares_) {
        const auto failed = [&](int error) { return fail(Error::system("share a folder", share.choice.path, error)); };
        share.folder = UniqueFd(::open(share.choice.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!share.folder) return failed(errno);
        UniqueFd root(fcntl(share.folder.get(), F_DUPFD_CLOEXEC, 0));
        if (!root) return failed(errno);
        fuse::ServerOptions options;
        if (share.choice.snapshot) {
            DOPPEL_TRY(share.changes, make_changes_folder(*remover));
            options.lower = std::move(root);
            root = UniqueFd(fcntl(share.changes.get(), F_DUPFD_CLOEXEC, 0));
            if (!root) return failed(errno);
        }
        options.tree.read_only = share.choice.read_only;
        options.tree.seen_as = share.choice.owner;
        options.tree.descriptors = each / 2;
        options.open_files = each / 4;  // and as many with locks
        auto server = fuse::Server::create(std::move(root), std::move(options));
        if (!server) return failed(server.error());
        share.serving = server->get();
        share.server = std::move(*server);
    }
    return {};
}

void Shares::add_devices(std::vector<riscv64::VirtioSlot>& to, memory::GuestMemory& memory, unsigned harts) {
    using device::virtio::fs::FsDevice;
    const unsigned queues = std::clamp(harts, 1u, device::virtio::fs::kMaxRequestQueues);
    for (size_t i = 0; i < shares_.size(); i++) {
        to.push_back({riscv64::slot::kShare + static_cast<unsigned>(i),
                      std::make_unique<FsDevice>(FsDevice::Parts{
                          fmt::format("share{}", i), std::move(shares_[i].server), memory, workers_, queues})});
    }
}

std::vector<sandbox::SharedFolder> Shares::folders() const {
    std::vector<sandbox::SharedFolder> folders;
    for (const Share& share : shares_) {
        folders.push_back({share.folder.get(), share.choice.read_only || share.choice.snapshot});
        if (share.changes) folders.push_back({share.changes.get(), false});
    }
    return folders;
}

bool Shares::changes() const {
    return std::ranges::any_of(shares_, [](const Share& share) { return !share.choice.read_only; });
}

std::string Shares::parameters() const {
    std::string text;
    for (size_t i = 0; i < shares_.size(); i++) {
        if (!text.empty() && text.back() != ' ') text += ' ';
        const ShareChoice& choice = shares_[i].choice;
        if (choice.guest == "/")
            text += fmt::format("rootfstype=virtiofs root=share{} {}", i, choice.read_only ? "ro" : "rw");
        else if (!choice.guest.empty())
            text += fmt::format("doppel.share{}={}{}", i, choice.guest, choice.read_only ? ",ro" : "");
    }
    return text;
}

void Shares::start_threads(unsigned harts) {
    if (shares_.empty()) return;
    workers_.start(std::clamp(harts, kWorkers, kMostWorkers));
    for (const Share& share : shares_) share.serving->start_thread();
}

}  // namespace doppel::machine
