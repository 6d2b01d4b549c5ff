#include "fuse/tree.h"

#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace doppel::fuse {

namespace {

constexpr uint64_t kRoot = 1;        // FUSE_ROOT_ID
constexpr unsigned kDeepest = 1000;  // folders that are opened one after the other to reach a file
constexpr size_t kMostNodes = size_t{4} << 20;

bool takes_attributes(int folder) {
    return fgetxattr(folder, kStatAttribute, nullptr, 0) >= 0 || errno == ENODATA;
}

}  // namespace

Outcome<std::unique_ptr<Tree>> Tree::open(UniqueFd folder, UniqueFd lower, const TreeOptions& options) {
    const uid_t user = geteuid();
    const auto kind = options.owners.value_or(user == 0 ? Owners::Kind::kReal : Owners::Kind::kMapped);
    const bool stores = takes_attributes(folder.get());
    if (lower && !stores) return refuse(EOPNOTSUPP);  // nothing could be hidden
    const Owners owners(kind, stores, user, getegid(), options.seen_as);
    std::unique_ptr<Tree> tree(new Tree({std::move(folder), std::move(lower)}, owners, options));
    FUSE_CHECK(tree->add_root());
    return tree;
}

Outcome<> Tree::add_root() {
    auto root = std::make_shared<Node>(kRoot);
    for (Layer layer : {kUpper, kLower}) {
        if (!roots_[layer]) continue;
        UniqueFd fd(openat(roots_[layer].get(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!fd) return refuse(errno);
        FUSE_TRY(const struct statx status, status_of(fd.get()));
        Node::Place& place = root->places[layer];
        place.present = place.pinned = true;
        place.identity = identity_of(status);
        place.held = std::make_shared<UniqueFd>(std::move(fd));
        by_identity_[layer][place.identity] = root.get();
        root_device_ = place.identity.device;
    }
    root->lookups = 1;
    nodes_[kRoot] = root;
    return {};
}

uint64_t Tree::inode(const Identity& identity) const {
    if (identity.device == root_device_) return identity.inode;
    constexpr uint64_t kSpread = 0x9e3779b97f4a7c15;
    return identity.inode ^ (identity.device * kSpread) << 32;
}

NodePtr Tree::node(uint64_t id) const {
    std::lock_guard guard(lock_);
    const auto found = nodes_.find(id);
    return found == nodes_.end() ? nullptr : found->second;
}

size_t Tree::size() const {
    std::lock_guard guard(lock_);
    return nodes_.size();
}

Layer Tree::best_layer(const NodePtr& node) const {
    std::lock_guard guard(lock_);
    return node->places[kUpper].present ? kUpper : kLower;
}

void Tree::drop_locked(Node& node, Layer layer, Dead& dead) {
    Node::Place& place = node.places[layer];
    if (!place.held) return;
    if (place.pinned) {
        place.pinned = false;
        pinned_--;
    } else {
        used_.erase(place.used);
    }
    dead.push_back(std::move(place.held));
    place.held.reset();
}

void Tree::evict_locked(Dead& dead) {
    while (used_.size() > options_.descriptors) {
        const auto [node, layer] = used_.back();
        drop_locked(*node, layer, dead);
    }
}

void Tree::pin_locked(Node& node, Layer layer, bool pinned, Dead& dead) {
    Node::Place& place = node.places[layer];
    if (!place.held || place.pinned == pinned || node.id == kRoot) return;
    if (pinned && pinned_ >= options_.descriptors) return;
    place.pinned = pinned;
    if (pinned) {
        used_.erase(place.used);
        pinned_++;
        return;
    }
    pinned_--;
    used_.emplace_front(&node, layer);
    place.used = used_.begin();
    evict_locked(dead);
}

void Tree::keep(const NodePtr& node, Layer layer, const Held& held) {
    Dead dead;
    std::lock_guard guard(lock_);
    Node::Place& place = node->places[layer];
    // Forgotten meanwhile, or another thread was faster.
    if (place.held || !nodes_.contains(node->id)) return;
    place.held = held;
    used_.emplace_front(node.get(), layer);
    place.used = used_.begin();
    evict_locked(dead);
}

Outcome<Held> Tree::hold_in(const NodePtr& node, Layer layer, unsigned depth) {
    {
        std::lock_guard guard(lock_);
        Node::Place& place = node->places[layer];
        if (place.held) {
            if (!place.pinned) used_.splice(used_.begin(), used_, place.used);
            return place.held;
        }
    }
    return look_for(node, layer, depth);
}

Outcome<Held> Tree::look_for(const NodePtr& node, Layer layer, unsigned depth) {
    if (depth > kDeepest) return refuse(ELOOP);
    NodePtr parent;
    std::string name;
    Identity identity;
    {
        std::lock_guard guard(lock_);
        if (!node->parent || !node->places[layer].present) return refuse(ESTALE);
        parent = node->parent;
        name = node->name;
        identity = node->places[layer].identity;
    }
    FUSE_TRY(const Held folder, hold_in(parent, layer, depth + 1));
    auto fd = open_in(folder->get(), name, O_PATH);
    if (!fd) return refuse(fd.error() == ENOENT || fd.error() == ENOTDIR ? ESTALE : fd.error());
    FUSE_TRY(const struct statx status, status_of(fd->get()));
    if (identity_of(status) != identity) return refuse(ESTALE);
    const Held held = std::make_shared<UniqueFd>(std::move(*fd));
    keep(node, layer, held);
    return held;
}

Outcome<Held> Tree::hold(const NodePtr& node) {
    return hold_in(node, best_layer(node));
}

Outcome<Held> Tree::hold_for_change(const NodePtr& node) {
    if (read_only()) return refuse(EROFS);
    if (layered()) FUSE_CHECK(copy_up(node));
    return hold_in(node, kUpper);
}

Outcome<UniqueFd> Tree::open(const NodePtr& node, int flags) {
    const bool changes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;
    FUSE_TRY(const Held held, changes ? hold_for_change(node) : hold(node));
    FUSE_TRY(const struct statx status, status_of(held->get()));
    if (!can_be_opened(status)) return refuse(EPERM);
    return reopen(held->get(), flags);
}

Outcome<struct statx> Tree::show(int folder, const std::string& name, const struct statx& host) const {
    struct statx status = host;
    if (!owners_.may_store(host)) {
        owners_.show(status);
        return status;
    }
    FUSE_TRY(const UniqueFd fd, open_in(folder, name, O_PATH));
    FUSE_TRY(status, status_of(fd.get()));
    owners_.show(status, fd.get());
    return status;
}

Outcome<struct statx> Tree::status(const NodePtr& node) {
    const Layer layer = best_layer(node);
    NodePtr parent;
    std::string name;
    Identity identity;
    {
        std::lock_guard guard(lock_);
        if (!node->places[layer].held) parent = node->parent;
        name = node->name;
        identity = node->places[layer].identity;
    }
    // Without a descriptor of its own where the name serves: most files are only looked at.
    if (parent) {
        FUSE_TRY(const Held folder, hold_in(parent, layer));
        auto status = status_in(folder->get(), name);
        if (status && identity_of(*status) == identity && !owners_.may_store(*status)) {
            owners_.show(*status);
            return status;
        }
    }
    FUSE_TRY(const Held held, hold_in(node, layer));
    FUSE_TRY(struct statx status, status_of(held->get()));
    owners_.show(status, held->get());
    return status;
}

Outcome<Found> Tree::find(const NodePtr& folder, const std::string& name) {
    if (layered()) return find_in_layers(folder, name);
    FUSE_TRY(const Held held, hold_in(folder, kUpper));
    FUSE_TRY(const struct statx host, status_in(held->get(), name));
    Found found;
    FUSE_TRY(found.status, show(held->get(), name, host));
    found.places[kUpper] = identity_of(found.status);
    return found;
}

Node* Tree::known_locked(const Found& found) const {
    for (Layer layer : {kUpper, kLower}) {
        if (!found.places[layer]) continue;
        const auto known = by_identity_[layer].find(*found.places[layer]);
        if (known != by_identity_[layer].end()) return known->second;
    }
    return nullptr;
}

NodePtr Tree::intern(const NodePtr& folder, const std::string& name, const Found& found) {
    Dead dead;
    std::lock_guard guard(lock_);
    NodePtr node;
    if (Node* known = known_locked(found)) {
        node = nodes_.at(known->id);
    } else if (nodes_.size() < kMostNodes) {
        node = std::make_shared<Node>(next_id_++);
        nodes_[node->id] = node;
    } else {
        return nullptr;
    }
    for (Layer layer : {kUpper, kLower}) {
        Node::Place& place = node->places[layer];
        if (place.present || !found.places[layer]) continue;
        place.present = true;
        place.identity = *found.places[layer];
        by_identity_[layer][place.identity] = node.get();
    }
    node->lookups++;
    // A copy lies under the first of several links alone.
    const bool elsewhere = node->places[kUpper].present && !found.places[kUpper];
    if (folder && !elsewhere) place_locked(node, folder, name, dead);
    return node;
}

Outcome<std::pair<NodePtr, struct statx>> Tree::look_up(const NodePtr& folder, const std::string& name) {
    FUSE_TRY(const Found found, find(folder, name));
    NodePtr node = intern(folder, name, found);
    if (!node) return refuse(ENFILE);
    if (!layered() || found.places[kUpper] || !has(node, kUpper)) return std::pair(std::move(node), found.status);
    const auto copied = status(node);
    if (!copied) forget(node->id, 1);
    if (!copied) return refuse(copied.error());
    return std::pair(std::move(node), *copied);
}

void Tree::place_locked(const NodePtr& node, const NodePtr& folder, const std::string& name, Dead& dead) {
    if (node->id == kRoot || (node->parent == folder && node->name == name)) return;
    if (folder) folder->children++;
    const NodePtr before = std::exchange(node->parent, folder);
    node->name = name;
    if (before && --before->children == 0 && before->lookups == 0) erase_locked(before, dead);
    for (Layer layer : {kUpper, kLower})
        if (folder) pin_locked(*node, layer, false, dead);
}

// And the folders that were only there because of it.
void Tree::erase_locked(NodePtr node, Dead& dead) {
    while (node && node->id != kRoot) {
        for (Layer layer : {kUpper, kLower}) {
            drop_locked(*node, layer, dead);
            const auto known = by_identity_[layer].find(node->places[layer].identity);
            if (known != by_identity_[layer].end() && known->second == node.get()) by_identity_[layer].erase(known);
        }
        nodes_.erase(node->id);
        NodePtr parent = std::exchange(node->parent, nullptr);
        if (parent) parent->children--;
        node = parent && parent->children == 0 && parent->lookups == 0 ? std::move(parent) : nullptr;
    }
}

void Tree::forget(uint64_t id, uint64_t count) {
    Dead dead;
    std::lock_guard guard(lock_);
    const auto found = nodes_.find(id);
    if (found == nodes_.end() || id == kRoot) return;
    const NodePtr node = found->second;
    node->lookups -= std::min(node->lookups, count);
    if (node->lookups == 0 && node->children == 0) erase_locked(node, dead);
}

bool Tree::exchange_stamp(const NodePtr& node, const Node::Stamp& stamp, bool reliable) {
    std::lock_guard guard(lock_);
    const bool same = node->stamp == stamp;
    node->stamp = reliable ? stamp : Node::Stamp();
    return same;
}

void Tree::forget_everything() {
    Dead dead;
    std::lock_guard guard(lock_);
    std::vector<NodePtr> all;
    for (const auto& [id, node] : nodes_) all.push_back(node);
    for (const NodePtr& node : all) {
        if (node->id == kRoot) {
            node->children = 0;
            continue;
        }
        for (Layer layer : {kUpper, kLower}) {
            drop_locked(*node, layer, dead);
            by_identity_[layer].erase(node->places[layer].identity);
        }
        node->parent = nullptr;
        nodes_.erase(node->id);
    }
}

}  // namespace doppel::fuse
