// doppel top: a live table of what instances use.
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>
#include <memory>

#include "base/clock.h"
#include "base/file.h"
#include "base/sizes.h"
#include "cli/instance/sample.h"
#include "cli/instance/session.h"
#include "cli/instance/verbs.h"
#include "machine/console/raw_terminal.h"

namespace doppel::cli {

using instance::Store;

namespace {

// Between two looks; per second.
struct Line {
    Sample sample;
    double cpu = 0;  // 1: one processor
    double instructions = 0, read = 0, written = 0, received = 0, sent = 0;
};

double rate(double before, double after, double seconds) {
    return seconds > 0 && after > before ? (after - before) / seconds : 0;
}

class Top {
  public:
    explicit Top(Store& store) : store_(store) {}

    void look() {
        const uint64_t now = host_clock().monotonic();
        constexpr double kSecond = 1e9;
        const double seconds = static_cast<double>(now - looked_) / kSecond;
        std::map<pid_t, Sample> samples;
        lines_.clear();
        for (Sample& one : sample_all(store_)) {
            Line line;
            if (const auto old = before_.find(one.pid); old != before_.end()) {
                const Sample& then = old->second;
                line.cpu = rate(then.cpu_seconds, one.cpu_seconds, seconds);
                line.instructions =
                    rate(static_cast<double>(then.instructions), static_cast<double>(one.instructions), seconds);
                const auto per_second = [&](uint64_t old_count, uint64_t count) {
                    return rate(static_cast<double>(old_count), static_cast<double>(count), seconds);
                };
                line.read = per_second(then.disk_read, one.disk_read);
                line.written = per_second(then.disk_written, one.disk_written);
                line.received = per_second(then.net_received, one.net_received);
                line.sent = per_second(then.net_sent, one.net_sent);
            }
            samples[one.pid] = one;
            line.sample = std::move(one);
            lines_.push_back(std::move(line));
        }
        before_ = std::move(samples);
        looked_ = now;
    }
    // False: the user has had enough.
    bool key(char pressed) {
        if (pressed == 'q' || pressed == '\x03') return false;
        if (std::string_view("cirwtn").find(pressed) != std::string_view::npos) order_ = pressed;
        return true;
    }
    std::string screen(size_t rows) {
        sort();
        char text[256];
        std::snprintf(text, sizeof text, "%-20s %-8s %7s %8s %10s %10s %10s %10s %10s %10s %10s", "Name", "state",
                      "Cpu%", "Instr/s", "Resident", "shared", "ballooned", "read/s", "Written/s", "received/s",
                      "senT/s");
        std::string all = std::string("\x1b[H\x1b[7m") + text + "\x1b[0m\x1b[K\r\n";
        constexpr double kPercent = 100, kMillion = 1e6;
        for (size_t i = 0; i < std::min(lines_.size(), rows > 2 ? rows - 2 : 1); i++) {
            const Line& line = lines_[i];
            const auto size = [](double bytes) { return format_size_rounded(static_cast<uint64_t>(bytes)); };
            std::snprintf(text, sizeof text, "%-20.20s %-8s %7.1f %7.1fM %10s %10s %10s %10s %10s %10s %10s",
                          line.sample.name.c_str(), line.sample.state.c_str(), line.cpu * kPercent,
                          line.instructions / kMillion, format_size_rounded(line.sample.resident).c_str(),
                          format_size_rounded(line.sample.shared).c_str(),
                          format_size_rounded(line.sample.balloon).c_str(), size(line.read).c_str(),
                          size(line.written).c_str(), size(line.received).c_str(), size(line.sent).c_str());
            all += std::string(text) + "\x1b[K\r\n";
        }
        return all + "\x1b[Jsorted by " + order_ + "; keys: c, i, r, w, t, n sort, q ends\x1b[K";
    }

  private:
    void sort() {
        const auto by = [this](const auto& value) {
            std::ranges::stable_sort(lines_, [&](const Line& a, const Line& b) { return value(a) > value(b); });
        };
        if (order_ == 'c') by([](const Line& line) { return line.cpu; });
        if (order_ == 'i') by([](const Line& line) { return line.instructions; });
        if (order_ == 'r') by([](const Line& line) { return static_cast<double>(line.sample.resident); });
        if (order_ == 'w') by([](const Line& line) { return line.written; });
        if (order_ == 't') by([](const Line& line) { return line.sent; });
    }

    Store& store_;
    std::vector<Line> lines_;  // by name
    std::map<pid_t, Sample> before_;
    uint64_t looked_ = 0;
    char order_ = 'c';
};

bool print(std::string_view text) {
    return write_all(STDOUT_FILENO, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

}  // namespace

Result<int> run_top(const Arguments&) {
    if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0)
        return fail(Error{"show the table", "standard output", "it is no terminal", "doppel stats prints one"});
    DOPPEL_TRY(Store store, Store::open());
    Top top(store);
    DOPPEL_TRY(const auto raw, machine::RawTerminal::enter(STDIN_FILENO));
    bool going = print("\x1b[?1049h\x1b[?25l");
    top.look();
    while (going) {
        winsize window{};
        constexpr size_t kRows = 24;
        const size_t rows = ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_row > 0 ? window.ws_row : kRows;
        going = print(top.screen(rows));
        constexpr int kPeriod = 1'000;  // milliseconds
        pollfd keys{STDIN_FILENO, POLLIN, 0};
        const int ready = poll(&keys, 1, kPeriod);
        char pressed = 0;
        if (ready > 0) going = going && read(STDIN_FILENO, &pressed, 1) == 1 && top.key(pressed);
        if (ready == 0) top.look();
    }
    print("\x1b[?25h\x1b[?1049l");
    return 0;
}

}  // namespace doppel::cli
