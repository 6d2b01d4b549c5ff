#include "base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <mutex>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/sizes.h"

namespace doppel {

namespace {

constexpr uint64_t kPatience = 300'000'000;
constexpr uint64_t kRedrawInterval = 100'000'000;
constexpr unsigned kBarWidth = 30;
constexpr unsigned kShortestBar = 10;
constexpr unsigned kUsualWidth = 80;
constexpr std::string_view kEraseLine = "\r\x1b[K";

std::mutex terminal_lock;  // leaf; held while anything here writes
Progress* shown = nullptr;

// A terminal that has gone away is no reason to fail.
void write_text(int fd, std::string_view text) {
    write_all(fd, std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

unsigned terminal_width(int fd) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualWidth;
    return size.ws_col;
}

std::string amount(uint64_t value, ProgressUnit unit) {
    return unit == ProgressUnit::kBytes ? format_size_rounded(value) : std::to_string(value);
}

double share_done(const ProgressView& view) {
    return std::min(1.0, static_cast<double>(view.done) / static_cast<double>(view.total));
}

// Never cuts a UTF-8 sequence in two.
std::string shortened(std::string text, size_t length) {
    if (text.size() <= length) return text;
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) length--;
    text.resize(length);
    return text;
}

}  // namespace

std::string progress_line(const ProgressView& view, unsigned width) {
    double seconds = static_cast<double>(std::max<uint64_t>(view.elapsed, 1)) / 1e9;
    auto rate = static_cast<uint64_t>(std::min(static_cast<double>(view.done) / seconds, 1e18));
    std::string tail = fmt::format("  {}/s", amount(rate, view.unit));
    std::string head(view.label);
    if (view.total == 0) return shortened(fmt::format("{}  {}{}", head, amount(view.done, view.unit), tail), width);

    tail = fmt::format(" {:3}%{}", static_cast<unsigned>(share_done(view) * 100), tail);
    size_t used = head.size() + tail.size() + 3;  // a space and the brackets
    if (used + kShortestBar > width) return shortened(head + tail, width);
    size_t length = std::min<size_t>(kBarWidth, width - used);
    auto filled = static_cast<size_t>(share_done(view) * static_cast<double>(length));
    return fmt::format("{} [{}{}]{}", head, std::string(filled, '#'), std::string(length - filled, '-'), tail);
}

Progress::Progress(std::string label, uint64_t total, ProgressUnit unit, const Clock& clock, int fd)
    : label_(printable(std::move(label))),
      total_(total),
      unit_(unit),
      clock_(clock),
      fd_(fd),
      terminal_(::isatty(fd) == 1),
      started_(clock.monotonic()),
      next_draw_(started_ + kPatience) {}

Progress::~Progress() {
    std::lock_guard guard(terminal_lock);
    if (shown == this) erase_locked();
}

void Progress::redraw_if_due() {
    if (!terminal_) return;
    uint64_t now = clock_.monotonic();
    if (now < next_draw_) return;
    std::lock_guard guard(terminal_lock);
    if (now < next_draw_ || (shown != nullptr && shown != this)) return;
    next_draw_ = now + kRedrawInterval;
    shown = this;
    // The last column stays free: some terminals wrap when it is written.
    std::string line = progress_line({label_, done_, total_, unit_, now - started_}, terminal_width(fd_) - 1);
    write_text(fd_, std::string(kEraseLine) + line);
}

void Progress::erase_locked() {
    write_text(fd_, kEraseLine);
    shown = nullptr;
}

void write_past_progress(std::string_view text) {
    std::lock_guard guard(terminal_lock);
    if (shown != nullptr) shown->erase_locked();
    write_text(STDERR_FILENO, text);
}

}  // namespace doppel
