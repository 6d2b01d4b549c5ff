// Where lines of a trace go: a file, or standard error.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace doppel::machine::trace {

// Thread-safe: what one `write` takes stays together.
class TraceFile {
  public:
    // Of a regular file that was given no limit: a trace that was forgotten must not fill the disk.
    static constexpr uint64_t kDefaultLimit = uint64_t{1} << 30;  // bytes

    // Makes the file, for this user alone, as it may tell what the guest keeps secret; "-" is standard error. `limit`
    // in bytes, 0: none.
    static Result<std::unique_ptr<TraceFile>> open(const std::string& path, std::optional<uint64_t> limit);

    // Empties the file, of which nothing was touched so far. Before the first write.
    Result<> begin();
    // Whole lines. Waits for a slow reader. A reader that is gone ends the trace; its limit or a full disk does so with
    // a line on standard error.
    void write(std::string_view lines);
    // In bytes; 0: none.
    uint64_t limit() const { return limit_; }
    // Nothing is written any more.
    bool ended() const { return ended_.load(std::memory_order_relaxed); }
    // From now on a reader that takes nothing for a while ends the trace, as it would keep the machine from stopping.
    void set_hurry(bool hurry) { hurry_.store(hurry, std::memory_order_relaxed); }

  private:
    struct Kind {
        bool regular;
        bool terminal;  // in raw mode, maybe: lines end with a carriage return, too
    };
    TraceFile(std::string path, UniqueFd file, Kind kind, uint64_t limit)
        : path_(std::move(path)), file_(std::move(file)), kind_(kind), limit_(limit) {}

    void end(std::string why, std::string cure);
    // False with errno set on failure.
    bool write_all(std::string_view text);
    bool write_to_terminal(std::string_view lines);
    bool wait_for_reader();

    const std::string path_;  // "-" is standard error
    std::mutex lock_;         // leaf
    UniqueFd file_;           // none: the trace has ended
    const Kind kind_;
    const uint64_t limit_;  // bytes; 0: none
    uint64_t written_ = 0;  // bytes
    std::atomic<bool> ended_{false};
    std::atomic<bool> hurry_{false};
};

}  // namespace doppel::machine::trace
