#include "fuse/server.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace doppel::fuse {

namespace {

constexpr uint32_t kOldestMinor = 31;
constexpr uint32_t kPage = 4096;
constexpr uint32_t kMostBytes = 1 << 20;  // that one read or write moves
constexpr uint16_t kBackground = 64;      // requests that the client lets run ahead

constexpr uint32_t kFlags = FUSE_ASYNC_READ | FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                            FUSE_FLOCK_LOCKS | FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
                            FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS |
                            FUSE_HANDLE_KILLPRIV_V2;

}  // namespace

Outcome<std::unique_ptr<Server>> Server::create(UniqueFd folder, ServerOptions options) {
    FUSE_TRY(auto tree, Tree::open(std::move(folder), std::move(options.lower), options.tree));
    return std::unique_ptr<Server>(new Server(std::move(tree), options));
}

Server::~Server() {
    waiters_.clear();
}

void Server::end_session() {
    waiters_.clear();
    locks_.clear();
    files_.clear();
    tree_->forget_everything();
    started_ = false;
}

Server::Operation Server::operation(uint32_t opcode) {
    static constexpr auto kOperations = [] {
        std::array<Operation, FUSE_TMPFILE + 1> table{};
        table[FUSE_LOOKUP] = &Server::look_up;
        table[FUSE_FORGET] = &Server::forget;
        table[FUSE_BATCH_FORGET] = &Server::forget_several;
        table[FUSE_GETATTR] = &Server::get_attributes;
        table[FUSE_SETATTR] = &Server::set_attributes;
        table[FUSE_READLINK] = &Server::read_link;
        table[FUSE_STATFS] = &Server::file_system_status;
        table[FUSE_SYMLINK] = &Server::make_link;
        table[FUSE_MKNOD] = &Server::make_node;
        table[FUSE_MKDIR] = &Server::make_folder;
        table[FUSE_UNLINK] = &Server::remove_file;
        table[FUSE_RMDIR] = &Server::remove_folder;
        table[FUSE_RENAME] = &Server::rename;
        table[FUSE_RENAME2] = &Server::rename_with_flags;
        table[FUSE_LINK] = &Server::link;
        table[FUSE_OPEN] = &Server::open_file;
        table[FUSE_CREATE] = &Server::create_file;
        table[FUSE_TMPFILE] = &Server::create_nameless;
        table[FUSE_READ] = &Server::read;
        table[FUSE_WRITE] = &Server::write;
        table[FUSE_FLUSH] = &Server::flush;
        table[FUSE_RELEASE] = &Server::release;
        table[FUSE_RELEASEDIR] = &Server::release;
        table[FUSE_FSYNC] = &Server::sync_file;
        table[FUSE_FSYNCDIR] = &Server::sync_file;
        table[FUSE_SYNCFS] = &Server::sync_all;
        table[FUSE_FALLOCATE] = &Server::allocate;
        table[FUSE_LSEEK] = &Server::seek;
        table[FUSE_COPY_FILE_RANGE] = &Server::copy_range;
        table[FUSE_OPENDIR] = &Server::open_folder;
        table[FUSE_READDIR] = &Server::read_folder;
        table[FUSE_READDIRPLUS] = &Server::read_folder_with_nodes;
        table[FUSE_SETXATTR] = &Server::set_extended;
        table[FUSE_GETXATTR] = &Server::get_extended;
        table[FUSE_LISTXATTR] = &Server::list_extended;
        table[FUSE_REMOVEXATTR] = &Server::remove_extended;
        table[FUSE_GETLK] = &Server::test_lock;
        table[FUSE_SETLK] = &Server::set_lock;
        table[FUSE_SETLKW] = &Server::wait_for_lock;
        table[FUSE_INIT] = &Server::init;
        table[FUSE_DESTROY] = &Server::destroy;
        table[FUSE_INTERRUPT] = &Server::interrupt;
        return table;  // ACCESS, BMAP, IOCTL, POLL: the client does without when it hears ENOSYS
    }();
    return opcode < kOperations.size() ? kOperations[opcode] : nullptr;
}

bool Server::changes(uint32_t opcode) {
    constexpr std::array kChanges{FUSE_SETATTR,   FUSE_SYMLINK,  FUSE_MKNOD,       FUSE_MKDIR,
                                  FUSE_UNLINK,    FUSE_RMDIR,    FUSE_RENAME,      FUSE_RENAME2,
                                  FUSE_LINK,      FUSE_TMPFILE,  FUSE_WRITE,       FUSE_CREATE,
                                  FUSE_FALLOCATE, FUSE_SETXATTR, FUSE_REMOVEXATTR, FUSE_COPY_FILE_RANGE};
    return std::ranges::find(kChanges, opcode) != kChanges.end();
}

Outcome<> Server::perform(Call& call) {
    if (!call.in.take(call.header) || call.header.len < sizeof call.header) return refuse(EIO);
    call.in.limit(call.header.len - sizeof call.header);
    const uint32_t opcode = call.header.opcode;
    call.unanswered = opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
    const Operation wanted = operation(opcode);
    if (wanted == nullptr) return refuse(ENOSYS);
    if (!started_ && opcode != FUSE_INIT) return refuse(EIO);
    if (tree_->read_only() && changes(opcode)) return refuse(EROFS);
    return (this->*wanted)(call);
}

void Server::serve(std::unique_ptr<Exchange> exchange) {
    Call call(std::move(exchange));
    const auto outcome = perform(call);
    if (call.kept) return;
    call.exchange->answer(call.unanswered ? 0 : call.out.finish(call.header.unique, outcome ? 0 : outcome.error()));
}

Outcome<> Server::init(Call& call) {
    // The part that all minor versions from ours on have; what follows depends on FUSE_INIT_EXT.
    struct {
        uint32_t major, minor, max_readahead, flags;
    } in;
    if (!call.in.take(in)) return refuse(EIO);
    if (call.out.room() < sizeof(fuse_init_out)) return refuse(EIO);
    fuse_init_out out{};
    out.major = FUSE_KERNEL_VERSION;
    out.minor = FUSE_KERNEL_MINOR_VERSION;
    if (in.major < FUSE_KERNEL_VERSION || (in.major == FUSE_KERNEL_VERSION && in.minor < kOldestMinor))
        return refuse(EPROTO);
    if (in.major > FUSE_KERNEL_VERSION) return call.out.put(out) ? Outcome<>() : refuse(EIO);  // it asks again
    if (started_) end_session();
    const uint32_t wanted = tree_->layered() ? kFlags | FUSE_WRITEBACK_CACHE : kFlags;
    out.flags = in.flags & wanted;
    late_writes_ = (out.flags & FUSE_WRITEBACK_CACHE) != 0;
    out.max_readahead = std::min(in.max_readahead, kMostBytes);
    out.max_background = kBackground;
    out.congestion_threshold = kBackground / 4 * 3;
    out.max_write = kMostBytes;
    out.max_pages = kMostBytes / kPage;
    out.time_gran = 1;
    started_ = true;
    return call.out.put(out) ? Outcome<>() : refuse(EIO);
}

Outcome<> Server::destroy(Call&) {
    end_session();
    return {};
}

Outcome<> Server::interrupt(Call& call) {
    fuse_interrupt_in in;
    if (call.in.take(in)) waiters_.interrupt(in.unique);
    return {};
}

Outcome<NodePtr> Server::node_of(uint64_t id) const {
    NodePtr node = tree_->node(id);
    if (!node) return refuse(ESTALE);
    return node;
}

Outcome<OpenFilePtr> Server::file_of(uint64_t handle, bool folder) const {
    OpenFilePtr file = files_.find(handle);
    if (!file) return refuse(EBADF);
    if (file->folder != folder) return refuse(folder ? ENOTDIR : EISDIR);
    return file;
}

Outcome<std::string> Server::take_name(Call& call) {
    constexpr size_t kLongest = 1024;  // beyond any name: what is longer is answered as such
    auto name = call.in.take_text(kLongest);
    if (!name) return refuse(call.in.left() > kLongest ? ENAMETOOLONG : EINVAL);
    constexpr size_t kLongestName = 255;
    if (name->size() > kLongestName) return refuse(ENAMETOOLONG);
    if (!valid_name(*name)) return refuse(EINVAL);
    return *std::move(name);
}

}  // namespace doppel::fuse
