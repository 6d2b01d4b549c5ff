// Record locks of a client's processes, as locks of open file descriptions of the host: each owner has one of its own.
#pragma once

#include <fcntl.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "base/unique_fd.h"
#include "fuse/exchange.h"
#include "fuse/tree.h"

namespace doppel::fuse {

// Thread-safe.
class PosixLocks {
  public:
    PosixLocks(Tree& tree, size_t most) : tree_(tree), most_(most) {}

    // EAGAIN when another lock is in the way.
    Outcome<> set(const NodePtr& node, uint64_t owner, const fuse_file_lock& lock);
    // The lock that would be in the way, F_UNLCK for none.
    Outcome<fuse_file_lock> test(const NodePtr& node, uint64_t owner, const fuse_file_lock& lock);
    // All of the owner's on this file. True when there were any.
    bool release(uint64_t node, uint64_t owner);
    void clear();

  private:
    struct Owner {
        UniqueFd fd;
        uint32_t process;  // the client's, that asked last
    };
    using Key = std::pair<uint64_t, uint64_t>;  // node, owner
    Outcome<std::shared_ptr<Owner>> find(const NodePtr& node, uint64_t owner);
    uint32_t process_behind(uint64_t node, uint64_t owner);

    Tree& tree_;
    const size_t most_;
    std::mutex lock_;
    std::map<Key, std::shared_ptr<Owner>> owners_;
};

}  // namespace doppel::fuse
