// What of a session survives a save: which nodes the client knows, by their place in the tree, and what it has open.
// Files without a name and locks of records are lost.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace doppel::fuse {

struct SessionState {
    bool started = false;
    bool late_writes = false;
    uint64_t next_node = 2, next_handle = 1;
    // Parents come before what is in them; the root is not among them.
    std::vector<uint64_t> nodes, parents, lookups;
    std::string names;                                          // each with a NUL behind it; empty: it has none
    std::vector<uint64_t> handles, handle_nodes, handle_flags;  // O_ACCMODE, O_APPEND, O_DIRECTORY

    template <class V>
    void fields(V& v) {
        v.field(1, started);
        v.field(2, late_writes);
        v.field(3, next_node);
        v.field(4, next_handle);
        v.field(5, nodes);
        v.field(6, parents);
        v.field(7, lookups);
        v.field(8, names);
        v.field(9, handles);
        v.field(10, handle_nodes);
        v.field(11, handle_flags);
    }
    // Whatever a file may say: lists of equal length, numbers once, parents known, names that are names.
    Result<> check() const;
    std::vector<std::string> split_names() const;
};

}  // namespace doppel::fuse
