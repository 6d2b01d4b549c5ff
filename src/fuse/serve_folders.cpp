// Reading folders.
#include <dirent.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "fuse/server.h"

namespace doppel::fuse {

namespace {

constexpr size_t kReadAhead = 32 << 10;
constexpr std::array<char, 8> kPadding{};

bool is_dots(std::string_view name) {
    return name == "." || name == "..";
}

}  // namespace

Outcome<> Server::open_folder(Call& call) {
    FUSE_TRY(const NodePtr node, node_of(call));
    if (call.out.room() < sizeof(fuse_open_out)) return refuse(EIO);
    auto folder = std::make_shared<OpenFile>();
    FUSE_TRY(folder->fd, tree_->open(node, O_RDONLY | O_DIRECTORY));
    folder->node = node;
    folder->folder = true;
    FUSE_TRY(const uint64_t handle, files_.add(std::move(folder)));
    const fuse_open_out out{handle, 0, 0};
    return call.out.put(out) ? Outcome<>() : refuse(EIO);
}

// False when it does not fit in `room`.
Outcome<bool> Server::put_folder_entry(Call& call, const OpenFile& folder, const FolderEntry& found, bool with_nodes,
                                       uint64_t& room) {
    const std::string& name = found.name;
    fuse_dirent entry{};
    entry.ino = found.inode;
    entry.off = static_cast<uint64_t>(found.next);
    entry.namelen = static_cast<uint32_t>(name.size());
    // What a special file is only its attribute says.
    entry.type = found.type == DT_REG && tree_->owners().stores() ? uint32_t{DT_UNKNOWN} : found.type;
    const size_t head = (with_nodes ? sizeof(fuse_entry_out) : 0) + FUSE_NAME_OFFSET;
    const size_t bytes = FUSE_DIRENT_ALIGN(head + name.size());
    if (bytes > room || bytes > call.out.room()) return false;
    room -= bytes;
    if (with_nodes) {
        fuse_entry_out node{};
        if (!is_dots(name)) {
            // One that is gone by now is told without a node.
            if (const auto known = tree_->look_up(folder.node, name)) {
                node = this->entry(*known->first, known->second);
                entry.type = node.attr.mode >> 12 & 0xf;
            }
        }
        if (!call.out.put(node)) return refuse(EIO);
    }
    const bool whole = call.out.put(&entry, FUSE_NAME_OFFSET) && call.out.put(name.data(), name.size()) &&
                       call.out.put(kPadding.data(), bytes - head - name.size());
    return whole ? Outcome<bool>(true) : refuse(EIO);
}

// The cookie counts entries, of a list that is made when reading begins.
Outcome<> Server::read_listed(Call& call, OpenFile& folder, const fuse_read_in& in, bool with_nodes) {
    if (in.offset == 0) {
        FUSE_TRY(folder.listed, tree_->list(folder.node));
    }
    uint64_t room = in.size;
    for (uint64_t at = in.offset; at < folder.listed.size(); at++) {
        const Tree::Entry& one = folder.listed[at];
        const FolderEntry entry{one.name, one.inode, static_cast<int64_t>(at + 1), one.type};
        FUSE_TRY(const bool put, put_folder_entry(call, folder, entry, with_nodes, room));
        if (!put) break;
    }
    return {};
}

Outcome<> Server::read_entries(Call& call, bool with_nodes) {
    fuse_read_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    FUSE_TRY(const OpenFilePtr folder, file_of(in.fh, true));
    std::lock_guard guard(folder->lock);
    if (tree_->layered()) return read_listed(call, *folder, in, with_nodes);
    if (in.offset != static_cast<uint64_t>(folder->next)) {
        if (lseek(folder->fd.get(), static_cast<off_t>(in.offset), SEEK_SET) < 0) return refuse(errno);
        folder->entries.clear();
        folder->position = 0;
        folder->next = static_cast<int64_t>(in.offset);
    }
    uint64_t room = in.size;
    while (true) {
        if (folder->position >= folder->entries.size()) {
            folder->entries.resize(kReadAhead);
            const ssize_t bytes = getdents64(folder->fd.get(), folder->entries.data(), folder->entries.size());
            folder->entries.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
            folder->position = 0;
            if (bytes < 0) return refuse(errno);
            if (bytes == 0) return {};
        }
        const auto* found = reinterpret_cast<const dirent64*>(&folder->entries[folder->position]);
        const FolderEntry entry{found->d_name, found->d_ino, found->d_off, found->d_type};
        FUSE_TRY(const bool put, put_folder_entry(call, *folder, entry, with_nodes, room));
        if (!put) return {};
        folder->position += found->d_reclen;
        folder->next = found->d_off;
    }
}

Outcome<> Server::read_folder(Call& call) {
    return read_entries(call, false);
}

Outcome<> Server::read_folder_with_nodes(Call& call) {
    return read_entries(call, true);
}

}  // namespace doppel::fuse
