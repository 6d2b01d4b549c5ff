// A FUSE server: gives a folder of the host to a client, that of Linux (fs/fuse) first of all. The transport brings
// requests; everything in them is hostile. Nothing outside the folder is reached, whatever links, names and races there
// are. Source: Linux, include/uapi/linux/fuse.h, protocol 7.31 and later.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "base/saved_state.h"
#include "base/unique_fd.h"
#include "fuse/exchange.h"
#include "fuse/lock_waiters.h"
#include "fuse/open_file.h"
#include "fuse/outcome.h"
#include "fuse/posix_locks.h"
#include "fuse/tree.h"

namespace doppel::fuse {

struct ServerOptions {
    TreeOptions tree;
    UniqueFd lower;            // copy-on-write: the folder that is only read, below the one that takes changes
    size_t open_files = 1024;  // at most, and as many files with locks
};

// `serve` is thread-safe and blocks for as long as the host's file system does.
class Server {
  public:
    // `folder` is open for reading (O_PATH is not enough).
    static Outcome<std::unique_ptr<Server>> create(UniqueFd folder, ServerOptions options);
    ~Server();

    // Answers now, or for a lock that is not free when it is.
    void serve(std::unique_ptr<Exchange> exchange);
    // The thread that tries again for those who wait for locks.
    void start_thread() { waiters_.start_thread(); }
    // The client is gone: nothing of it is left. No `serve` is under way.
    void end_session();

    // The session's nodes and open files, by their places; `serve` is not under way. As base/saved_state.h says.
    void save(StateWriter& writer) const;
    Result<> restore(StateReader& reader);

  private:
    struct Call {
        std::unique_ptr<Exchange> exchange;
        fuse_in_header header{};
        Input in;
        Output out;
        bool kept = false;        // answered by somebody else, later
        bool unanswered = false;  // there is no answer to such a request
        explicit Call(std::unique_ptr<Exchange> from)
            : exchange(std::move(from)), in(exchange->request()), out(exchange->reply()) {}
    };
    using Operation = Outcome<> (Server::*)(Call&);
    static Operation operation(uint32_t opcode);
    static bool changes(uint32_t opcode);
    Outcome<> perform(Call& call);

    Server(std::unique_ptr<Tree> tree, const ServerOptions& options)
        : tree_(std::move(tree)), files_(options.open_files), locks_(*tree_, options.open_files) {}

    // server.cpp: the session
    Outcome<> init(Call& call);
    Outcome<> destroy(Call& call);
    Outcome<> interrupt(Call& call);
    // serve_nodes.cpp
    Outcome<> look_up(Call& call);
    Outcome<> forget(Call& call);
    Outcome<> forget_several(Call& call);
    Outcome<> get_attributes(Call& call);
    Outcome<> set_attributes(Call& call);
    Outcome<> read_link(Call& call);
    Outcome<> file_system_status(Call& call);
    // serve_names.cpp
    Outcome<> make_link(Call& call);
    Outcome<> make_node(Call& call);
    Outcome<> make_folder(Call& call);
    Outcome<> remove_file(Call& call);
    Outcome<> remove_folder(Call& call);
    Outcome<> rename(Call& call);
    Outcome<> rename_with_flags(Call& call);
    Outcome<> link(Call& call);
    // serve_files.cpp
    Outcome<> open_file(Call& call);
    Outcome<> create_file(Call& call);
    Outcome<> create_nameless(Call& call);
    Outcome<> read(Call& call);
    Outcome<> write(Call& call);
    Outcome<> flush(Call& call);
    Outcome<> release(Call& call);
    Outcome<> sync_file(Call& call);
    Outcome<> sync_all(Call& call);
    Outcome<> allocate(Call& call);
    Outcome<> seek(Call& call);
    Outcome<> copy_range(Call& call);
    // serve_folders.cpp
    Outcome<> open_folder(Call& call);
    Outcome<> read_folder(Call& call);
    Outcome<> read_folder_with_nodes(Call& call);
    // serve_attributes.cpp
    Outcome<> set_extended(Call& call);
    Outcome<> get_extended(Call& call);
    Outcome<> list_extended(Call& call);
    Outcome<> remove_extended(Call& call);
    // serve_locks.cpp
    Outcome<> test_lock(Call& call);
    Outcome<> set_lock(Call& call);
    Outcome<> wait_for_lock(Call& call);

    Outcome<NodePtr> node_of(const Call& call) const { return node_of(call.header.nodeid); }
    Outcome<NodePtr> node_of(uint64_t id) const;
    Outcome<OpenFilePtr> file_of(uint64_t handle, bool folder) const;
    static Outcome<std::string> take_name(Call& call);
    fuse_attr attributes(const struct statx& status) const;
    fuse_entry_out entry(const Node& node, const struct statx& status) const;
    Outcome<> put_entry(Call& call, const std::pair<NodePtr, struct statx>& found);
    // Makes an entry and looks it up for the client.
    template <class Make>
    Outcome<> make(Call& call, uint32_t mode, const std::string& name, Make make);
    Outcome<> set_times(const NodePtr& node, const fuse_setattr_in& wanted);
    Outcome<> set_size(const NodePtr& node, const fuse_setattr_in& wanted);
    // What a change of its content takes from a file: set-user-id bits, and capabilities.
    Outcome<> take_privileges(const NodePtr& node);
    void take_capabilities(OpenFile& file) const;
    // The descriptor to read from.
    Outcome<const UniqueFd*> current(OpenFile& file) const;
    Outcome<uint64_t> add_file(Call& call, UniqueFd fd, const NodePtr& node, bool lower = false);
    uint32_t cache_flags(const OpenFile& file, uint32_t flags);
    int host_flags(uint32_t flags) const;
    struct FolderEntry {
        std::string name;
        uint64_t inode;
        int64_t next;  // the cookie of the one after it
        uint8_t type;
    };
    Outcome<> read_listed(Call& call, OpenFile& folder, const fuse_read_in& in, bool with_nodes);
    Outcome<> read_entries(Call& call, bool with_nodes);
    Outcome<bool> put_folder_entry(Call& call, const OpenFile& folder, const FolderEntry& found, bool with_nodes,
                                   uint64_t& room);
    struct LockCall {
        NodePtr node;
        fuse_lk_in in;
        OpenFilePtr file;
    };
    Outcome<LockCall> take_lock_call(Call& call) const;
    Outcome<> try_lock(const LockCall& wanted);
    Outcome<> lock(Call& call, bool wait);

    const std::unique_ptr<Tree> tree_;
    OpenFiles files_;
    PosixLocks locks_;
    LockWaiters waiters_;
    std::atomic<bool> started_{false};
    std::atomic<bool> late_writes_{false};  // the client's cache writes back when it likes
};

}  // namespace doppel::fuse
