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
Outcome<bool> Server::put_folder_entry(Call& call, const OpenFile& folder, const void* at, bool with_nodes,
                                       uint64_t& room) {
    const auto& found = *static_cast<const dirent64*>(at);
    const std::string name(found.d_name);
    fuse_dirent entry{};
    entry.ino = found.d_ino;
    entry.off = static_cast<uint64_t>(found.d_off);
    entry.namelen = static_cast<uint32_t>(name.size());
    // What a special file is only its attribute says.
    entry.type = found.d_type == DT_REG && tree_->owners().stores() ? uint32_t{DT_UNKNOWN} : found.d_type;
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

Outcome<> Server::read_entries(Call& call, bool with_nodes) {
    fuse_read_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    FUSE_TRY(const OpenFilePtr folder, file_of(in.fh, true));
    std::lock_guard guard(folder->lock);
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
        FUSE_TRY(const bool put, put_folder_entry(call, *folder, found, with_nodes, room));
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
