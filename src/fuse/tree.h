// The shared tree: nodes that a client knows, and the host's files that they stand for.
//
// A node remembers in which folder and by which name it was last seen. Descriptors of nodes are a cache: one that was
// closed is opened again by folder and name, and is the node's only if it is still the same file. What has no name any
// more keeps its descriptor.
//
// A tree has an upper layer, and for copy-on-write a lower one below it that is only read (tree_layers.cpp): names of
// the upper layer hide those of the lower one, folders of both are one, and what is changed is copied up first.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "fuse/host.h"
#include "fuse/outcome.h"
#include "fuse/owners.h"
#include "fuse/session_state.h"

namespace doppel::fuse {

using Held = std::shared_ptr<const UniqueFd>;  // an O_PATH descriptor

enum Layer : unsigned { kUpper = 0, kLower = 1 };
inline constexpr size_t kLayers = 2;

struct Node {
    explicit Node(uint64_t number) : id(number) {}

    // What a layer has of it. The cache knows a descriptor by `used`, unless it must stay open.
    struct Place {
        bool present = false;
        bool pinned = false;
        Identity identity;
        Held held;
        std::list<std::pair<Node*, Layer>>::iterator used;
    };

    const uint64_t id;
    // Guarded by the tree's lock.
    uint64_t lookups = 0;
    uint64_t children = 0;  // nodes that have it as their parent
    std::shared_ptr<Node> parent;
    std::string name;
    std::array<Place, kLayers> places;
    // What a client that opened it last may have in its cache.
    struct Stamp {
        int64_t size = -1, modified = 0, changed = 0;  // nanoseconds
        bool operator==(const Stamp&) const = default;
    } stamp;
};
using NodePtr = std::shared_ptr<Node>;

// A name of a folder, found.
struct Found {
    std::array<std::optional<Identity>, kLayers> places;
    struct statx status {};  // as the client sees it
};

struct TreeOptions {
    bool read_only = false;
    std::optional<Owners::Kind> owners;  // else real for root, mapped for others
    uint32_t seen_as = 0;                // whom the client sees as the host's user, where owners are mapped
    size_t descriptors = 1024;           // that the cache keeps open at most
};

// Thread-safe.
class Tree {
  public:
    // `folder` is the root, open for reading; `lower` with it makes a tree of two layers.
    static Outcome<std::unique_ptr<Tree>> open(UniqueFd folder, UniqueFd lower, const TreeOptions& options);

    bool read_only() const { return options_.read_only; }
    bool layered() const { return static_cast<bool>(roots_[kLower]); }
    const Owners& owners() const { return owners_; }
    int root_folder() const { return roots_[kUpper].get(); }

    // nullptr for a number that no client was told, or that it forgot.
    NodePtr node(uint64_t id) const;
    // The entry of a folder, and its node, counted once more. `name` is valid.
    Outcome<std::pair<NodePtr, struct statx>> look_up(const NodePtr& folder, const std::string& name);
    void forget(uint64_t id, uint64_t count);
    // All but the root.
    void forget_everything();
    // session_state.cpp
    void save(SessionState& state) const;
    void restore(const SessionState& state);
    size_t size() const;

    Outcome<struct statx> status(const NodePtr& node);
    // The file, in the layer that counts.
    Outcome<Held> hold(const NodePtr& node);
    // A real descriptor: of regular files and folders only. `flags` with writing copies the file up.
    Outcome<UniqueFd> open(const NodePtr& node, int flags);
    // The same for a change: the node is in the upper layer afterwards.
    Outcome<Held> hold_for_change(const NodePtr& node);
    // Gives a node of any type another owner or mode.
    Outcome<> give(const NodePtr& node, const Ownership& ownership);

    Outcome<Found> find(const NodePtr& folder, const std::string& name);

    // New entries in a folder of the upper layer.
    struct Maker {
        uint32_t mode, uid, gid;
        uint32_t major = 0, minor = 0;
    };
    Outcome<UniqueFd> make_file(const NodePtr& folder, const std::string& name, int flags, const Maker& maker);
    Outcome<> make_folder(const NodePtr& folder, const std::string& name, const Maker& maker);
    Outcome<> make_link(const NodePtr& folder, const std::string& name, const std::string& target, const Maker& maker);
    Outcome<> make_special(const NodePtr& folder, const std::string& name, const Maker& maker);
    // A file without a name, its node counted once.
    Outcome<std::pair<NodePtr, UniqueFd>> make_nameless(const NodePtr& folder, int flags, const Maker& maker);
    Outcome<> link(const NodePtr& node, const NodePtr& folder, const std::string& name);
    Outcome<> remove(const NodePtr& folder, const std::string& name, bool is_folder);
    struct Name {
        NodePtr folder;
        std::string name;
    };
    // `flags`: RENAME_NOREPLACE, RENAME_EXCHANGE.
    Outcome<> rename(const Name& from, const Name& to, unsigned flags);
    Outcome<std::string> read_link(const NodePtr& node);
    // Of both layers together, with "." and "..".
    struct Entry {
        std::string name;
        uint64_t inode;
        uint8_t type;  // as d_type of readdir(3)
    };
    Outcome<std::vector<Entry>> list(const NodePtr& folder);
    bool has(const NodePtr& node, Layer layer) const;

    // Notes how a file is now that it is opened. True when it was the same the last time; without `reliable`, because
    // it changed just now and could again unnoticed, the next time is none the wiser.
    bool exchange_stamp(const NodePtr& node, const Node::Stamp& stamp, bool reliable);

    // The number that a client sees: the host's, told apart where the tree has several file systems.
    uint64_t inode(const Identity& identity) const;

  private:
    Tree(std::array<UniqueFd, kLayers> roots, const Owners& owners, const TreeOptions& options)
        : roots_(std::move(roots)), owners_(owners), options_(options) {}

    using Dead = std::vector<Held>;  // closed when the lock is free again
    Outcome<> add_root();
    Outcome<Held> hold_in(const NodePtr& node, Layer layer, unsigned depth = 0);
    Outcome<Held> look_for(const NodePtr& node, Layer layer, unsigned depth);
    void keep(const NodePtr& node, Layer layer, const Held& held);
    // With the lock.
    void evict_locked(Dead& dead);
    void drop_locked(Node& node, Layer layer, Dead& dead);
    void pin_locked(Node& node, Layer layer, bool pinned, Dead& dead);
    void place_locked(const NodePtr& node, const NodePtr& folder, const std::string& name, Dead& dead);
    void erase_locked(NodePtr node, Dead& dead);
    Node* known_locked(const Found& found) const;

    NodePtr intern(const NodePtr& folder, const std::string& name, const Found& found);
    Layer best_layer(const NodePtr& node) const;

    // A client's view of the entry.
    Outcome<struct statx> show(int folder, const std::string& name, const struct statx& host) const;
    // Makes a new file or folder the maker's.
    Outcome<> own(int fd, Maker maker, const NodePtr& folder);
    Outcome<> make_stored(const NodePtr& folder, const std::string& name, const std::string& content,
                          const Maker& maker);
    Outcome<> give_link(const NodePtr& node, int fd, const struct statx& host, const Ownership& ownership);
    Outcome<> store_link(const NodePtr& node, int fd, const Ownership& ownership);

    // tree_layers.cpp. A name of the lower layer that a new entry takes: hidden again unless the entry was finished.
    struct Uncovered {
        Tree& tree;
        const NodePtr& folder;
        const std::string& name;
        bool hides = false;
        std::unique_lock<std::recursive_mutex> guard{};
        Uncovered(Tree& of, const NodePtr& in, const std::string& entry) : tree(of), folder(in), name(entry) {}
        Uncovered(Uncovered&& other) noexcept
            : tree(other.tree),
              folder(other.folder),
              name(other.name),
              hides(std::exchange(other.hides, false)),
              guard(std::move(other.guard)) {}
        ~Uncovered();
        Outcome<> finish(bool is_folder);
    };
    Outcome<Uncovered> uncover(const NodePtr& folder, const std::string& name);
    Outcome<Found> find_in_layers(const NodePtr& folder, const std::string& name);
    bool lower_has(const NodePtr& folder, const std::string& name);
    Outcome<> hide(const NodePtr& folder, const std::string& name);
    Outcome<> remove_upper(int folder, const std::string& name, bool is_folder);
    Outcome<> remove_from_layers(const NodePtr& folder, const std::string& name, bool is_folder);
    Outcome<> make_way(const Name& to, const Found& source, const Found& target);
    Outcome<> prepare_rename(const Name& from, const Name& to, unsigned flags);
    Outcome<> finish_rename(const Name& from, const Name& to, bool exchange);
    Outcome<> copy_up_entry(const Name& at, const Found& found);
    // tree_copy_up.cpp
    Outcome<> copy_up(const NodePtr& node, unsigned depth = 0);
    Outcome<> copy_entry(const NodePtr& node, int from, const struct statx& shown, const Name& at);
    Outcome<UniqueFd> copy_file(int from, const struct statx& shown, int folder);
    Outcome<> copy_properties(int from, const struct statx& shown, int to);
    void add_upper(const NodePtr& node, const struct statx& status);

    // The node that has this name is kept open, because the name is about to go; then it went, or did not.
    NodePtr keep_nameless(const NodePtr& folder, const std::string& name);
    void settle_nameless(const NodePtr& node, const NodePtr& folder, const std::string& name, bool gone);

    const std::array<UniqueFd, kLayers> roots_;
    const Owners owners_;
    const TreeOptions options_;
    uint64_t root_device_ = 0;

    std::recursive_mutex changes_;  // of names, and copies, where there are two layers: taken before the other one
    mutable std::mutex lock_;       // leaf: no system call but close is made while it is held
    std::unordered_map<uint64_t, NodePtr> nodes_;
    std::array<std::unordered_map<Identity, Node*, IdentityHash>, kLayers> by_identity_;
    std::list<std::pair<Node*, Layer>> used_;  // the last one first
    size_t pinned_ = 0;
    uint64_t next_id_ = 2;
};

}  // namespace doppel::fuse
