// What a running machine is asked over its control socket, and what it answers: a JSON object on a line each way
// (docs/instances.md). {"version":1,"do":"pause"} is answered by {"version":1,"ok":true,"machine":{...}} or by
// {"version":1,"ok":false,"error":"..."}.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace doppel::machine::control {

inline constexpr unsigned kVersion = 1;
inline constexpr size_t kMaxLine = 4096;  // bytes of a request or an answer, with its end

enum class Command : uint8_t {
    kStatus,
    kPause,
    kResume,
    kPowerKey,
    kBalloon,
    kEngine,
    kLimits,
    kAttachDisk,
    kFindDisk,
    kDetachDisk,
    kQuit
};

// What a machine keeps to by itself; 0: it does not.
struct Limits {
    unsigned cpu_quota = 0;  // percent of one processor
    uint64_t io_bps = 0;     // of all disks, a second
    uint64_t io_iops = 0;
    bool operator==(const Limits&) const = default;
};

struct Request {
    Command command = Command::kStatus;
    uint64_t bytes = 0;  // of kBalloon: how much memory the guest shall do without
    std::string engine;  // of kEngine: which one goes on
    Limits limits;       // of kLimits: from now on
    // Of kAttachDisk, with one descriptor of its file, open and locked; kFindDisk; kDetachDisk, which the guest's
    // driver has let go: as text_of (machine/spec/disk_choice.h) says it.
    std::string disk;
    bool operator==(const Request&) const = default;
};

// What is so after the request was carried out.
struct Status {
    bool paused = false;
    std::string engine;
    unsigned cpus = 0;
    uint64_t memory = 0;          // bytes
    uint64_t balloon = 0;         // bytes that the guest has handed over
    uint64_t balloon_target = 0;  // bytes that it was asked for
    uint64_t instructions = 0;    // that all harts have executed, as of their last look around
    uint64_t net_received = 0;    // bytes of frames that the guest has got by all cards
    uint64_t net_sent = 0;
    Limits limits;
    unsigned slot = 0;  // after kAttachDisk and kFindDisk: where on the PCI bus it is
    bool operator==(const Status&) const = default;
};

// A line without its end. What is not exactly a request of a version that is spoken here is an error.
Result<Request> parse_request(std::string_view line);
// The machine's answer; an error that it gave is that error. Members that are unknown are left alone.
Result<Status> parse_answer(std::string_view line);

// Lines with their ends.
std::string encode(const Request& request);
std::string encode(const Status& status);
std::string encode(const Error& error);

}  // namespace doppel::machine::control
