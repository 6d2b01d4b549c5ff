// A tree of two layers: the upper one takes all changes, the lower one is only read.
//
// A name of the lower layer that is gone is hidden by a whiteout in the upper one: an empty regular file whose
// attribute says that it is the character device 0:0, which no client can make there. A folder of the upper layer lets
// that of the lower one through unless it is opaque: made where a name was hidden.
#include <dirent.h>
#include <linux/fs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <set>

#include "fuse/tree.h"

namespace doppel::fuse {

namespace {

constexpr const char* kOpaque = "user.doppel.opaque";
constexpr Ownership kWhiteout{.mode = S_IFCHR};

bool is_whiteout(const struct statx& status) {
    return is_type(status, S_IFCHR) && status.stx_rdev_major == 0 && status.stx_rdev_minor == 0;
}

bool is_opaque(int folder, const std::string& name) {
    const auto fd = open_in(folder, name, O_PATH);
    return fd && getxattr(path_of(fd->get()).c_str(), kOpaque, nullptr, 0) >= 0;
}

Outcome<> make_opaque(int folder, const std::string& name) {
    FUSE_TRY(const UniqueFd fd, open_in(folder, name, O_RDONLY | O_DIRECTORY));
    return done(fsetxattr(fd.get(), kOpaque, "y", 1, 0));
}

// Not readdir(3), which asks for the folder's status in a way that a confined machine has not.
template <class Take>
Outcome<> for_each_name(const UniqueFd& path, Take take) {
    FUSE_TRY(const UniqueFd folder, reopen(path.get(), O_RDONLY | O_DIRECTORY));
    constexpr size_t kReadAhead = 32 << 10;
    std::vector<uint8_t> entries(kReadAhead);
    while (true) {
        const ssize_t bytes = getdents64(folder.get(), entries.data(), entries.size());
        if (bytes < 0) return refuse(errno);
        if (bytes == 0) return {};
        for (ssize_t at = 0; at < bytes;) {
            const auto* entry = reinterpret_cast<const dirent64*>(&entries[static_cast<size_t>(at)]);
            take(*entry);
            at += entry->d_reclen;
        }
    }
}

}  // namespace

bool Tree::has(const NodePtr& node, Layer layer) const {
    std::lock_guard guard(lock_);
    return node->places[layer].present;
}

bool Tree::lower_has(const NodePtr& folder, const std::string& name) {
    if (!has(folder, kLower)) return false;
    const auto held = hold_in(folder, kLower);
    return held && status_in((*held)->get(), name).has_value();
}

Outcome<Found> Tree::find_in_layers(const NodePtr& folder, const std::string& name) {
    Found found;
    if (has(folder, kUpper)) {
        FUSE_TRY(const Held held, hold_in(folder, kUpper));
        const auto host = status_in(held->get(), name);
        if (!host && host.error() != ENOENT) return refuse(host.error());
        if (host) {
            FUSE_TRY(found.status, show(held->get(), name, *host));
            if (is_whiteout(found.status)) return refuse(ENOENT);
            found.places[kUpper] = identity_of(found.status);
            if (!is_type(found.status, S_IFDIR) || is_opaque(held->get(), name)) return found;
        }
    }
    if (has(folder, kLower)) {
        FUSE_TRY(const Held held, hold_in(folder, kLower));
        const auto host = status_in(held->get(), name);
        if (!host && host.error() != ENOENT) return refuse(host.error());
        const bool shows = host && (!found.places[kUpper] || is_type(*host, S_IFDIR));
        if (shows) found.places[kLower] = identity_of(*host);
        if (shows && !found.places[kUpper]) {
            FUSE_TRY(found.status, show(held->get(), name, *host));
        }
    }
    if (!found.places[kUpper] && !found.places[kLower]) return refuse(ENOENT);
    return found;
}

// Makes room in the upper layer for a new entry.
Outcome<Tree::Uncovered> Tree::uncover(const NodePtr& folder, const std::string& name) {
    Uncovered uncovered{*this, folder, name};
    if (!layered()) return uncovered;
    uncovered.guard = std::unique_lock(changes_);
    const auto found = find(folder, name);
    if (found) return refuse(EEXIST);
    if (found.error() != ENOENT) return refuse(found.error());
    FUSE_TRY(const Held held, hold_for_change(folder));
    uncovered.hides = lower_has(folder, name);
    // What was not found and yet is there is a whiteout.
    if (unlinkat(held->get(), name.c_str(), 0) != 0 && errno != ENOENT) return refuse(errno);
    return uncovered;
}

Tree::Uncovered::~Uncovered() {
    if (hides) [[maybe_unused]]
        const auto hidden = tree.hide(folder, name);
}

Outcome<> Tree::Uncovered::finish(bool is_folder) {
    if (!std::exchange(hides, false) || !is_folder) return {};
    FUSE_TRY(const Held held, tree.hold_for_change(folder));
    return make_opaque(held->get(), name);
}

Outcome<> Tree::hide(const NodePtr& folder, const std::string& name) {
    FUSE_TRY(const Held held, hold_for_change(folder));
    constexpr unsigned kPrivate = 0600;
    FUSE_TRY(const UniqueFd fd, open_in(held->get(), name, O_RDWR | O_CREAT | O_EXCL, kPrivate));
    const std::string text = text_of(kWhiteout);
    return done(fsetxattr(fd.get(), kStatAttribute, text.data(), text.size(), 0));
}

Outcome<std::vector<Tree::Entry>> Tree::list(const NodePtr& folder) {
    std::vector<Entry> entries;
    std::set<std::string> known;
    for (Layer layer : {kUpper, kLower}) {
        if (!has(folder, layer)) continue;
        FUSE_TRY(const Held held, hold_in(folder, layer));
        FUSE_CHECK(for_each_name(*held, [&](const dirent64& entry) {
            const std::string name(entry.d_name);
            if (!known.insert(name).second) return;
            const bool dots = name == "." || name == "..";
            if (layer == kUpper && !dots && entry.d_type == DT_REG) {
                const auto host = status_in(held->get(), name);
                const auto shown = host ? show(held->get(), name, *host) : host;
                if (!shown || is_whiteout(*shown)) return;
            }
            entries.push_back({name, entry.d_ino, entry.d_type});
        }));
    }
    return entries;
}

// Removes an entry of the upper layer; of a folder that is seen as empty, what it hides first.
Outcome<> Tree::remove_upper(int folder, const std::string& name, bool is_folder) {
    if (!is_folder) return done(unlinkat(folder, name.c_str(), 0));
    FUSE_TRY(const UniqueFd below, open_in(folder, name, O_RDONLY | O_DIRECTORY));
    FUSE_CHECK(for_each_name(below, [&](const dirent64& entry) {
        if (entry.d_type == DT_REG) unlinkat(below.get(), entry.d_name, 0);
    }));
    return done(unlinkat(folder, name.c_str(), AT_REMOVEDIR));
}

Outcome<> Tree::remove_from_layers(const NodePtr& folder, const std::string& name, bool is_folder) {
    const std::lock_guard guard(changes_);
    FUSE_TRY(const Found found, find(folder, name));
    if (is_type(found.status, S_IFDIR) != is_folder) return refuse(is_folder ? ENOTDIR : EISDIR);
    const NodePtr node = intern(folder, name, found);
    if (!node) return refuse(ENFILE);
    constexpr size_t kDots = 2;
    const auto entries = is_folder ? list(node) : std::vector<Entry>();
    forget(node->id, 1);
    if (!entries) return refuse(entries.error());
    if (entries->size() > kDots) return refuse(ENOTEMPTY);
    FUSE_TRY(const Held held, hold_for_change(folder));
    const NodePtr victim = keep_nameless(folder, name);
    auto removed = found.places[kUpper] ? remove_upper(held->get(), name, is_folder) : Outcome<>();
    if (removed && lower_has(folder, name)) removed = hide(folder, name);
    settle_nameless(victim, folder, name, removed.has_value());
    return removed;
}

Outcome<> Tree::copy_up_entry(const Name& at, const Found& found) {
    const NodePtr node = intern(at.folder, at.name, found);
    if (!node) return refuse(ENFILE);
    const auto copied = copy_up(node);
    forget(node->id, 1);
    return copied;
}

// What rename(2) asks of the target, where the host sees one layer alone.
Outcome<> Tree::make_way(const Name& to, const Found& source, const Found& target) {
    const bool moves_folder = is_type(source.status, S_IFDIR), over_folder = is_type(target.status, S_IFDIR);
    if (moves_folder != over_folder) return refuse(moves_folder ? ENOTDIR : EISDIR);
    return over_folder ? remove_from_layers(to.folder, to.name, true) : Outcome<>();
}

Outcome<> Tree::prepare_rename(const Name& from, const Name& to, unsigned flags) {
    const bool exchange = (flags & RENAME_EXCHANGE) != 0;
    FUSE_TRY(const Found source, find(from.folder, from.name));
    const auto target = find(to.folder, to.name);
    if (target && (flags & RENAME_NOREPLACE) != 0) return refuse(EEXIST);
    if (!target && exchange) return refuse(target.error());
    // A folder whose content lies in the lower layer stays where it is: the client copies it.
    const auto is_below = [](const Found& found) { return is_type(found.status, S_IFDIR) && found.places[kLower]; };
    if (is_below(source) || (exchange && is_below(*target))) return refuse(EXDEV);
    FUSE_CHECK(copy_up_entry(from, source));
    if (exchange) return copy_up_entry(to, *target);
    if (target) FUSE_CHECK(make_way(to, source, *target));
    FUSE_TRY(const Held held, hold_for_change(to.folder));
    if (!find(to.folder, to.name)) unlinkat(held->get(), to.name.c_str(), 0);  // a whiteout
    return {};
}

Outcome<> Tree::finish_rename(const Name& from, const Name& to, bool exchange) {
    if (!exchange && lower_has(from.folder, from.name)) FUSE_CHECK(hide(from.folder, from.name));
    for (const Name* name : {&from, &to}) {
        if (name == &from && !exchange) continue;
        FUSE_TRY(const Held held, hold_for_change(name->folder));
        FUSE_TRY(const struct statx status, status_in(held->get(), name->name));
        if (is_type(status, S_IFDIR) && lower_has(name->folder, name->name))
            FUSE_CHECK(make_opaque(held->get(), name->name));
    }
    return {};
}

}  // namespace doppel::fuse
