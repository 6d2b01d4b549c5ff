// What the guest agent is asked and what it answers. Times are nanoseconds since 1970, sizes bytes, errors errno values
// of Linux. Paths and names are bytes without NUL.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/fields.h"

namespace doppel::agent {

enum class Service : uint8_t {
    kExec = 0,        // ExecRequest; INPUT, OUTPUT and ERROR are the program's
    kPut = 1,         // PutRequest; INPUT is the file's content, END makes it whole
    kGet = 2,         // GetRequest; INFO is a FileInfo, OUTPUT the content
    kPower = 3,       // PowerRequest; the result comes before it happens
    kPci = 4,         // PciRequest
    kTime = 5,        // TimeRequest
    kIdentity = 6,    // IdentityRequest
    kStatistics = 7,  // nothing; INFO is a Statistics
};
inline constexpr uint8_t kServices = 8;

struct TerminalSize {
    uint16_t columns = 0, rows = 0;
    template <class V>
    void fields(V& v) {
        v.field(1, columns);
        v.field(2, rows);
    }
    bool operator==(const TerminalSize&) const = default;
};

// A program with pipes, or on a terminal of its own (then all output is OUTPUT). It gets the agent's environment, and
// HOME, USER, LOGNAME and SHELL of `user`, then `environment` over that.
struct ExecRequest {
    std::vector<std::string> arguments;    // the program first: a path, or a name to look for in PATH
    std::vector<std::string> environment;  // NAME=VALUE
    std::string directory;                 // empty: the user's home, else /
    std::string user;                      // a name or a number, ":GROUP" may follow; empty: as the agent runs
    std::optional<TerminalSize> terminal;
    template <class V>
    void fields(V& v) {
        v.field(1, arguments);
        v.field(2, environment);
        v.field(3, directory);
        v.field(4, user);
        v.field(5, terminal);
    }
};

// CONTROL of a program.
struct Control {
    std::optional<uint32_t> signal;    // Linux's number, to its process group
    std::optional<TerminalSize> size;  // of its terminal
    template <class V>
    void fields(V& v) {
        v.field(1, signal);
        v.field(2, size);
    }
};

// A file that appears under its name when it is whole. An existing one is replaced; a directory is an error (EISDIR).
struct PutRequest {
    std::string path;
    uint32_t mode = 0644;           // permissions, 07777 at most
    std::optional<int64_t> mtime;   // now, if missing
    std::optional<uint32_t> owner;  // numbers
    std::optional<uint32_t> group;
    template <class V>
    void fields(V& v) {
        v.field(1, path);
        v.field(2, mode);
        v.field(3, mtime);
        v.field(4, owner);
        v.field(5, group);
    }
};

struct GetRequest {
    std::string path;  // links are followed; only regular files are read, others give EISDIR or EINVAL
    template <class V>
    void fields(V& v) {
        v.field(1, path);
    }
};

struct FileInfo {
    uint32_t mode = 0;  // permissions
    int64_t mtime = 0;
    uint32_t owner = 0, group = 0;
    uint64_t size = 0;  // when it was opened
    template <class V>
    void fields(V& v) {
        v.field(1, mode);
        v.field(2, mtime);
        v.field(3, owner);
        v.field(4, group);
        v.field(5, size);
    }
};

enum class PowerAction : uint8_t { kPowerOff = 0, kReboot = 1, kHalt = 2 };

struct PowerRequest {
    PowerAction action = PowerAction::kPowerOff;
    bool force = false;  // file systems are synced, and no program is asked
    template <class V>
    void fields(V& v) {
        v.field(1, action);
        v.field(2, force);
    }
};

struct PciRequest {
    std::string remove;  // "0000:00:10.0"; empty: rescan the buses
    template <class V>
    void fields(V& v) {
        v.field(1, remove);
    }
};

struct TimeRequest {
    int64_t now = 0;
    template <class V>
    void fields(V& v) {
        v.field(1, now);
    }
};

// What a copy of a guest must not share with the original. Empty fields are left alone.
struct IdentityRequest {
    std::string hostname;
    std::string machine_id;  // 32 hexadecimal digits
    bool ssh_host_keys = false;
    Bytes entropy;  // at most 512 bytes, for the kernel's generator, which then reseeds
    template <class V>
    void fields(V& v) {
        v.field(1, hostname);
        v.field(2, machine_id);
        v.field(3, ssh_host_keys);
        v.field(4, entropy);
    }
};

struct DiskStatistics {
    std::string mounted_on, device, type;
    uint64_t size = 0, free = 0;  // free: for users
    template <class V>
    void fields(V& v) {
        v.field(1, mounted_on);
        v.field(2, device);
        v.field(3, type);
        v.field(4, size);
        v.field(5, free);
    }
};

struct Statistics {
    uint64_t memory = 0, memory_available = 0, swap = 0, swap_free = 0;
    uint32_t load_1 = 0, load_5 = 0, load_15 = 0;  // hundredths
    uint64_t uptime = 0;                           // nanoseconds
    uint32_t processes = 0;
    int64_t time = 0;
    std::string hostname, kernel;  // as uname -n and -r
    std::vector<DiskStatistics> disks;
    template <class V>
    void fields(V& v) {
        v.field(1, memory);
        v.field(2, memory_available);
        v.field(3, swap);
        v.field(4, swap_free);
        v.field(5, load_1);
        v.field(6, load_5);
        v.field(7, load_15);
        v.field(8, uptime);
        v.field(9, processes);
        v.field(10, time);
        v.field(11, hostname);
        v.field(12, kernel);
        v.field(13, disks);
    }
};

enum class Status : uint8_t {
    kDone = 0,           // also of a program that ended: see exit_code and signal
    kFailed = 1,         // `error` and `why` say it
    kNotFound = 2,       // there is no such program
    kNotExecutable = 3,  // it cannot be executed
    kRefused = 4,        // the request makes no sense, or there are too many
    kLost = 5,           // the connection to the agent broke (said by the machine)
    kClosed = 6,         // the asker closed the channel
};

struct Outcome {
    Status status = Status::kDone;
    uint32_t error = 0;      // errno, 0 if there is none
    std::string why;         // what failed, in words, without the errno's text
    uint32_t exit_code = 0;  // of a program
    uint32_t signal = 0;     // that ended it; 0: none
    template <class V>
    void fields(V& v) {
        v.field(1, status);
        v.field(2, error);
        v.field(3, why);
        v.field(4, exit_code);
        v.field(5, signal);
    }
};

}  // namespace doppel::agent
