// The machine's own prison: what its process can still do once guest code runs, whatever a guest makes of it.
//
// Two walls, each enough against most of what a compromised thread would try. Landlock (confine_files) takes the file
// system and the TCP ports away; descriptors that are open stay usable. Seccomp (confine_calls) leaves the system calls
// that hart threads, the I/O thread and the devices make; any other one prints a line that names it and ends the
// process by SIGSYS (denied_call.h). Neither can be undone. Set-user-id programs gain nothing either (no_new_privs).
// Core dumps and debuggers of the user stay possible.
//
// In builds with sanitizers, whose runtimes read files and make threads at the end, both walls have gaps for them.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "base/result.h"

namespace doppel::machine::sandbox {

// What a machine needs besides memory, clocks and the descriptors that it holds.
struct Permissions {
    bool executable_memory = false;    // an engine that makes host code
    bool accept_connections = false;   // a socket that was opened for clients
    bool receive_descriptors = false;  // from a broker (socket_broker.h), over a socket that it holds
    bool terminal = false;             // the console is a terminal: its mode, its size, who is in the foreground
    bool disks = false;                // files that disks lie in, through a ring of io_uring or on threads
    bool shares = false;               // folders that are served to the guest
    bool shared_changes = false;       // and what it changes in them
    bool shared_owners = false;        // the guest's owners are the host's: links and special files are given away
    bool link = false;                 // a socket to a process that is its network
    bool sockets = false;              // sockets of the host, and files to be read, where confine_files leaves any
    bool taps = false;                 // interfaces of the host: what a guest leaves to do to frames changes
    bool members = false;              // memory that is made for others, and given to them
    bool files = false;                // files by path, where confine_files leaves any
};

// What this kernel lacks, in words for the user; empty when everything holds. The rest is confined all the same.
using Missing = std::string;

// No file can be opened, made, removed or executed by path any more, no TCP port bound or connected, and no process
// outside signalled, as far as the kernel's landlock knows these. Holds for the calling thread and those that it starts
// from now on: call it while it is the only one. `folder`, a descriptor, is left: files in it and below can be read,
// written, made, renamed and removed.
Result<Missing> confine_files(std::optional<int> folder = std::nullopt);
// The same, leaving folders that are served to a guest, and what is below them: to be read, and changed unless they are
// `read_only`. No device, FIFO or socket can be made there, and nothing be executed.
struct SharedFolder {
    int folder;  // a descriptor
    bool read_only;
};
enum class Network { kTaken, kLeft };
Result<Missing> confine_files(std::span<const SharedFolder> folders, Network network = Network::kTaken);

// For all threads of the process, which must have got as far as their own code. No thread can be started afterwards.
// Also installs what prints the line, on top of handlers of SIGSYS that are there already; those get the signal next.
Result<Missing> confine_calls(const Permissions& permissions);

}  // namespace doppel::machine::sandbox
