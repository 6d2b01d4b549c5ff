// Locks: of records (fcntl) and of whole files (flock).
#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "fuse/server.h"

namespace doppel::fuse {

namespace {

std::optional<int> flock_operation(uint32_t type) {
    switch (type) {
        case F_RDLCK:
            return LOCK_SH;
        case F_WRLCK:
            return LOCK_EX;
        case F_UNLCK:
            return LOCK_UN;
        default:
            return std::nullopt;
    }
}

}  // namespace

Outcome<Server::LockCall> Server::take_lock_call(Call& call) const {
    LockCall wanted{};
    FUSE_TRY(wanted.node, node_of(call));
    if (!call.in.take(wanted.in)) return refuse(EINVAL);
    if ((wanted.in.lk_flags & FUSE_LK_FLOCK) == 0) return wanted;
    wanted.file = files_.find(wanted.in.fh);
    if (!wanted.file) return refuse(EBADF);
    return wanted;
}

Outcome<> Server::test_lock(Call& call) {
    FUSE_TRY(const LockCall wanted, take_lock_call(call));
    if (wanted.file) return refuse(EINVAL);
    FUSE_TRY(const fuse_file_lock found, locks_.test(wanted.node, wanted.in.owner, wanted.in.lk));
    const fuse_lk_out out{found};
    return call.out.put(out) ? Outcome<>() : refuse(EIO);
}

Outcome<> Server::try_lock(const LockCall& wanted) {
    if (!wanted.file) return locks_.set(wanted.node, wanted.in.owner, wanted.in.lk);
    // Locks of the handle's own open file description, as the client's of its.
    const auto operation = flock_operation(wanted.in.lk.type);
    if (!operation) return refuse(EINVAL);
    return done(flock(wanted.file->fd.get(), *operation | LOCK_NB));
}

Outcome<> Server::lock(Call& call, bool wait) {
    FUSE_TRY(const LockCall wanted, take_lock_call(call));
    const auto locked = try_lock(wanted);
    if (locked || locked.error() != EAGAIN || !wait) {
        // Less of a lock than there was, whichever way: others may go on.
        if (locked && wanted.in.lk.type != F_WRLCK) waiters_.poke();
        return locked;
    }
    const auto attempt = [this, wanted] {
        const auto again = try_lock(wanted);
        return again ? 0 : again.error();
    };
    if (!waiters_.add(call.exchange, call.header.unique, attempt)) return refuse(ENOLCK);
    call.kept = true;
    return {};
}

Outcome<> Server::set_lock(Call& call) {
    return lock(call, false);
}

Outcome<> Server::wait_for_lock(Call& call) {
    return lock(call, true);
}

}  // namespace doppel::fuse
