// A progress bar on the terminal, for what takes long enough to wonder about.
#pragma once

#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace doppel {

enum class ProgressUnit { kBytes, kItems };

// Draws only where `fd` is a terminal, no other bar is shown, and the work has lasted 0.3 s; redraws at most ten times
// a second; leaves nothing behind when destroyed. Thread-safe. `total` is 0 where it is not known.
class Progress {
  public:
    Progress(std::string label, uint64_t total, ProgressUnit unit, const Clock& clock = host_clock(),
             int fd = STDERR_FILENO);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void advance(uint64_t step) {
        done_ += step;
        redraw_if_due();
    }
    void set(uint64_t done) {
        done_ = done;
        redraw_if_due();
    }

  private:
    friend void write_past_progress(std::string_view text);
    void redraw_if_due();
    void erase_locked();

    const std::string label_;
    const uint64_t total_;
    const ProgressUnit unit_;
    const Clock& clock_;
    const int fd_;
    const bool terminal_;
    const uint64_t started_;
    std::atomic<uint64_t> done_{0};
    std::atomic<uint64_t> next_draw_;
};

// What a bar shows: "label [#####-----]  50%  1.5 MiB/s", fitted to `width` columns. `elapsed` is in nanoseconds.
struct ProgressView {
    std::string_view label;
    uint64_t done;
    uint64_t total;
    ProgressUnit unit;
    uint64_t elapsed;
};
std::string progress_line(const ProgressView& view, unsigned width);

// Writes to stderr; a bar that is shown gives way and comes back with its next step.
void write_past_progress(std::string_view text);

}  // namespace doppel
