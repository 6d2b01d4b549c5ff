#include "machine/statistics_report.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sizes.h"

namespace doppel::machine {

namespace {

constexpr double kSecond = 1e9;   // nanoseconds
constexpr double kMillion = 1e6;  // instructions

uint64_t processor_nanoseconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<uint64_t>(now.tv_sec) * static_cast<uint64_t>(kSecond) + static_cast<uint64_t>(now.tv_nsec);
}

// Millions of instructions a second; 0 where the engine counts none.
double mips(const RunFigures& figures, uint64_t nanoseconds) {
    if (nanoseconds == 0) return 0;
    return static_cast<double>(figures.counts.count("instructions")) / kMillion /
           (static_cast<double>(nanoseconds) / kSecond);
}

std::string grouped(uint64_t number) {
    constexpr size_t kGroup = 3;
    std::string text = std::to_string(number);
    for (size_t at = text.size(); at > kGroup;) text.insert(at -= kGroup, ",");
    return text;
}

std::string seconds(uint64_t nanoseconds) {
    return fmt::format("{:.3f} s", static_cast<double>(nanoseconds) / kSecond);
}

std::string line(std::string_view name, std::string_view value) {
    return fmt::format("  {:<28} {:>20}\n", name, value);
}

std::string line_of_count(std::string_view name, uint64_t count) {
    constexpr std::string_view kBytes = "_bytes", kNanoseconds = "_nanoseconds";
    std::string value = grouped(count);
    if (name.ends_with(kBytes)) {
        value = format_size_rounded(count);
    } else if (name.ends_with(kNanoseconds)) {
        value = seconds(count);
        name.remove_suffix(kNanoseconds.size());
    }
    std::string words(name);
    std::ranges::replace(words, '_', ' ');
    return line(words, value);
}

}  // namespace

std::string text_of(const RunFigures& figures) {
    std::string text = fmt::format("doppel: statistics of {} hart{} by the engine {}\n", figures.harts,
                                   figures.harts == 1 ? "" : "s", figures.engine);
    text += line("wall time", seconds(figures.wall_nanoseconds));
    text += line("processor time", seconds(figures.processor_nanoseconds));
    text += line("MIPS by wall time", fmt::format("{:.1f}", mips(figures, figures.wall_nanoseconds)));
    text += line("MIPS by processor time", fmt::format("{:.1f}", mips(figures, figures.processor_nanoseconds)));
    for (const auto& [name, count] : figures.counts.counts()) text += line_of_count(name, count);
    return text;
}

std::string json_of(const RunFigures& figures) {
    nlohmann::ordered_json json{{"engine", figures.engine},
                                {"harts", figures.harts},
                                {"wall_nanoseconds", figures.wall_nanoseconds},
                                {"processor_nanoseconds", figures.processor_nanoseconds},
                                {"mips_by_wall_time", mips(figures, figures.wall_nanoseconds)},
                                {"mips_by_processor_time", mips(figures, figures.processor_nanoseconds)}};
    for (const auto& [name, count] : figures.counts.counts()) json[std::string(name)] = count;
    return json.dump() + "\n";
}

Result<std::unique_ptr<StatisticsReport>> StatisticsReport::open(const std::string& where) {
    UniqueFd file;
    if (where != "-") {
        // Non-blocking: a pipe that nobody reads is refused, and does not hold the machine at its end.
        constexpr int kFlags = O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
        file.reset(::open(where.c_str(), kFlags, 0666));
        if (!file) return fail(Error::system("open statistics", where, errno));
    }
    return std::unique_ptr<StatisticsReport>(new StatisticsReport(where, std::move(file)));
}

Result<> StatisticsReport::begin() {
    struct stat status {};
    if (file_ && ::fstat(file_.get(), &status) == 0 && S_ISREG(status.st_mode) && ::ftruncate(file_.get(), 0) != 0) {
        return fail(Error::system("empty statistics", path_, errno));
    }
    wall_start_ = host_clock().monotonic();
    processor_start_ = processor_nanoseconds();
    return {};
}

void StatisticsReport::write(std::string_view engine, unsigned harts, const cpu::Statistics& counts) {
    const RunFigures figures{engine, harts, host_clock().monotonic() - wall_start_,
                             processor_nanoseconds() - processor_start_, counts};
    if (!file_) {
        std::fputs(text_of(figures).c_str(), stderr);
        return;
    }
    const std::string json = json_of(figures);
    if (!write_all(file_.get(), {reinterpret_cast<const uint8_t*>(json.data()), json.size()})) {
        log_warning("{}", Error::system("write statistics", path_, errno).message());
    }
}

}  // namespace doppel::machine
