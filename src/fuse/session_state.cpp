#include "fuse/session_state.h"

#include <fcntl.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "fuse/host.h"
#include "fuse/server.h"

namespace doppel::fuse {

namespace {

constexpr uint64_t kRoot = FUSE_ROOT_ID;
constexpr uint64_t kHandleFlags = O_ACCMODE | O_APPEND | O_DIRECTORY;

// The same state is saved in the same words.
template <class Map>
std::vector<uint64_t> sorted_keys(const Map& map) {
    std::vector<uint64_t> keys;
    for (const auto& entry : map) keys.push_back(entry.first);
    std::ranges::sort(keys);
    return keys;
}

}  // namespace

std::vector<std::string> SessionState::split_names() const {
    std::vector<std::string> split;
    for (size_t at = 0; at < names.size();) {
        const size_t end = std::min(names.find('\0', at), names.size());
        split.push_back(names.substr(at, end - at));
        at = end + 1;
    }
    return split;
}

Result<> SessionState::check() const {
    const auto bad = [](const char* why) { return fail(Error{"restore", "shared folder", why, ""}); };
    const std::vector<std::string> split = split_names();
    if (parents.size() != nodes.size() || lookups.size() != nodes.size() || split.size() != nodes.size() ||
        handle_nodes.size() != handles.size() || handle_flags.size() != handles.size())
        return bad("its lists differ in length");
    std::unordered_set<uint64_t> known{kRoot};
    for (size_t i = 0; i < nodes.size(); i++) {
        if (!split[i].empty() && (!valid_name(split[i]) || !known.contains(parents[i])))
            return bad("a file has no place");
        if (nodes[i] >= next_node || !known.insert(nodes[i]).second) return bad("a file is there twice");
    }
    std::unordered_set<uint64_t> open;
    for (size_t i = 0; i < handles.size(); i++) {
        if (handles[i] >= next_handle || !open.insert(handles[i]).second || !known.contains(handle_nodes[i]) ||
            (handle_flags[i] & ~kHandleFlags) != 0)
            return bad("an open file is none");
    }
    return {};
}

void Tree::save(SessionState& state) const {
    std::lock_guard guard(lock_);
    state.next_node = next_id_;
    std::unordered_set<uint64_t> done{kRoot};
    std::vector<const Node*> way;
    for (const uint64_t id : sorted_keys(nodes_)) {
        // The folders above that are not there yet, the highest first.
        for (const Node* at = nodes_.at(id).get(); at != nullptr && done.insert(at->id).second; at = at->parent.get())
            way.push_back(at);
        for (; !way.empty(); way.pop_back()) {
            const Node& one = *way.back();
            state.nodes.push_back(one.id);
            state.parents.push_back(one.parent ? one.parent->id : 0);
            state.lookups.push_back(one.lookups);
            state.names += one.name + '\0';
        }
    }
}

// A file that is not where it was stays known, and is stale.
void Tree::restore(const SessionState& state) {
    forget_everything();
    const std::vector<std::string> names = state.split_names();
    next_id_ = state.next_node;
    for (size_t i = 0; i < state.nodes.size(); i++) {
        const NodePtr parent = names[i].empty() ? nullptr : node(state.parents[i]);
        const auto found = parent ? find(parent, names[i]) : refuse(ESTALE);
        auto known = std::make_shared<Node>(state.nodes[i]);
        known->lookups = state.lookups[i];
        Dead dead;
        std::lock_guard guard(lock_);
        nodes_[known->id] = known;
        if (!found || known_locked(*found) != nullptr) continue;
        for (Layer layer : {kUpper, kLower}) {
            if (!found->places[layer]) continue;
            known->places[layer].present = true;
            known->places[layer].identity = *found->places[layer];
            by_identity_[layer][known->places[layer].identity] = known.get();
        }
        place_locked(known, parent, names[i], dead);
    }
}

void OpenFiles::save(SessionState& state) const {
    std::lock_guard guard(lock_);
    state.next_handle = next_;
    for (const uint64_t handle : sorted_keys(files_)) {
        const OpenFilePtr& file = files_.at(handle);
        const int flags = fcntl(file->fd.get(), F_GETFL);
        state.handles.push_back(handle);
        state.handle_nodes.push_back(file->node->id);
        state.handle_flags.push_back(static_cast<uint64_t>(flags) & kHandleFlags);
    }
}

void OpenFiles::restore(Tree& tree, const SessionState& state) {
    clear();
    std::lock_guard guard(lock_);
    next_ = state.next_handle;
    for (size_t i = 0; i < state.handles.size() && files_.size() < most_; i++) {
        auto file = std::make_shared<OpenFile>();
        file->node = tree.node(state.handle_nodes[i]);
        file->folder = (state.handle_flags[i] & O_DIRECTORY) != 0;
        auto fd = file->node ? tree.open(file->node, static_cast<int>(state.handle_flags[i])) : refuse(ESTALE);
        if (!fd) continue;
        file->fd = std::move(*fd);
        files_[state.handles[i]] = std::move(file);
    }
}

void Server::save(StateWriter& writer) const {
    SessionState state;
    state.started = started_;
    state.late_writes = late_writes_;
    tree_->save(state);
    files_.save(state);
    state.fields(writer);
}

Result<> Server::restore(StateReader& reader) {
    SessionState state;
    state.fields(reader);
    DOPPEL_CHECK(reader.finish("shared folder"));
    DOPPEL_CHECK(state.check());
    end_session();
    tree_->restore(state);
    files_.restore(*tree_, state);
    late_writes_ = state.late_writes;
    started_ = state.started;
    return {};
}

}  // namespace doppel::fuse
