// What a client has open: files and folders by handle, and its locks.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/unique_fd.h"
#include "fuse/session_state.h"
#include "fuse/tree.h"

namespace doppel::fuse {

struct OpenFile {
    UniqueFd fd;
    NodePtr node;
    bool folder = false;
    std::atomic<bool> capabilities_gone{false};  // a write takes the file's away: once is enough

    // What was opened in the lower layer is read in the upper one when it was copied there.
    std::atomic<bool> lower{false};
    UniqueFd copied;
    // All entries of a folder of two layers.
    std::vector<Tree::Entry> listed;

    // A folder's entries, read ahead; `next` is the host's cookie of the first one that was not given yet.
    std::mutex lock;
    std::vector<uint8_t> entries;
    size_t position = 0;
    int64_t next = 0;
};
using OpenFilePtr = std::shared_ptr<OpenFile>;

// Thread-safe.
class OpenFiles {
  public:
    explicit OpenFiles(size_t most) : most_(most) {}

    // ENFILE when there are too many.
    Outcome<uint64_t> add(OpenFilePtr file);
    OpenFilePtr find(uint64_t handle) const;
    OpenFilePtr take(uint64_t handle);  // and forgets it
    void clear();
    // session_state.cpp
    void save(SessionState& state) const;
    void restore(Tree& tree, const SessionState& state);

  private:
    const size_t most_;
    mutable std::mutex lock_;
    std::unordered_map<uint64_t, OpenFilePtr> files_;
    uint64_t next_ = 1;
};

}  // namespace doppel::fuse
