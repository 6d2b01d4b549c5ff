#include "fuse/posix_locks.h"

#include <algorithm>
#include <cerrno>
#include <limits>

namespace doppel::fuse {

namespace {

constexpr uint64_t kEnd = std::numeric_limits<int64_t>::max();  // a lock up to here grows with the file

Outcome<struct flock> host_lock(const fuse_file_lock& lock) {
    if (lock.type != F_RDLCK && lock.type != F_WRLCK && lock.type != F_UNLCK) return refuse(EINVAL);
    if (lock.start > kEnd || lock.end > kEnd || lock.start > lock.end) return refuse(EINVAL);
    struct flock host {};
    host.l_type = static_cast<short>(lock.type);
    host.l_whence = SEEK_SET;
    host.l_start = static_cast<off_t>(lock.start);
    host.l_len = lock.end == kEnd ? 0 : static_cast<off_t>(lock.end - lock.start + 1);
    return host;
}

}  // namespace

Outcome<std::shared_ptr<PosixLocks::Owner>> PosixLocks::find(const NodePtr& node, uint64_t owner) {
    {
        std::lock_guard guard(lock_);
        const auto found = owners_.find({node->id, owner});
        if (found != owners_.end()) return found->second;
        if (owners_.size() >= most_) return refuse(ENOLCK);
    }
    auto fd = tree_.open(node, O_RDWR);
    if (!fd) fd = tree_.open(node, O_RDONLY);
    if (!fd) return refuse(fd.error());
    std::lock_guard guard(lock_);
    auto& made = owners_[{node->id, owner}];
    if (!made) made = std::make_shared<Owner>(Owner{std::move(*fd), 0});
    return made;
}

Outcome<> PosixLocks::set(const NodePtr& node, uint64_t owner, const fuse_file_lock& lock) {
    FUSE_TRY(struct flock host, host_lock(lock));
    FUSE_TRY(const auto own, find(node, owner));
    {
        std::lock_guard guard(lock_);
        own->process = lock.pid;
    }
    if (fcntl(own->fd.get(), F_OFD_SETLK, &host) == 0) return {};
    return refuse(errno == EACCES ? EAGAIN : errno);
}

uint32_t PosixLocks::process_behind(uint64_t node, uint64_t owner) {
    std::lock_guard guard(lock_);
    for (auto at = owners_.lower_bound({node, 0}); at != owners_.end() && at->first.first == node; ++at)
        if (at->first.second != owner) return at->second->process;
    return 0;
}

Outcome<fuse_file_lock> PosixLocks::test(const NodePtr& node, uint64_t owner, const fuse_file_lock& lock) {
    FUSE_TRY(struct flock host, host_lock(lock));
    if (host.l_type == F_UNLCK) return refuse(EINVAL);
    FUSE_TRY(const auto own, find(node, owner));
    if (fcntl(own->fd.get(), F_OFD_GETLK, &host) != 0) return refuse(errno);
    fuse_file_lock found{};
    found.type = static_cast<uint32_t>(host.l_type);
    if (host.l_type == F_UNLCK) return found;
    found.start = static_cast<uint64_t>(host.l_start);
    found.end = host.l_len == 0 ? kEnd : found.start + static_cast<uint64_t>(host.l_len) - 1;
    // The host names processes of its own, and none for locks like these; a client knows its own alone.
    found.pid = host.l_pid == -1 ? process_behind(node->id, owner) : 0;
    return found;
}

bool PosixLocks::release(uint64_t node, uint64_t owner) {
    std::shared_ptr<Owner> gone;
    {
        std::lock_guard guard(lock_);
        const auto found = owners_.find({node, owner});
        if (found == owners_.end()) return false;
        gone = std::move(found->second);
        owners_.erase(found);
    }
    // Another thread may still use it: the locks go now all the same.
    struct flock all {};
    all.l_type = F_UNLCK;
    all.l_whence = SEEK_SET;
    fcntl(gone->fd.get(), F_OFD_SETLK, &all);
    return true;
}

void PosixLocks::clear() {
    std::map<Key, std::shared_ptr<Owner>> gone;
    std::lock_guard guard(lock_);
    gone.swap(owners_);
}

}  // namespace doppel::fuse
