#include "image/make/debian/setup_machine.h"

#include <unistd.h>

#include <algorithm>
#include <deque>
#include <set>
#include <string>

#include "base/file.h"
#include "base/progress.h"
#include "image/catalog.h"
#include "image/make/debian/system_files.h"
#include "image/make/process.h"
#include "machine/spec/specification.h"

namespace doppel::image {
namespace {

constexpr uint64_t kMemory = 1ull << 30;  // bytes
constexpr size_t kLastLines = 3;
constexpr std::string_view kSaid = "doppel-setup: ";

machine::Specification specification_of(const SetupMachine& setup) {
    machine::Specification machine;
    machine.memory = kMemory;
    machine.cpus = ::sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1;
    machine.kernel = setup.kernel;
    machine.initrd = setup.initrd;
    machine.append = "quiet doppel.setup";
    machine.no_reboot = true;
    machine::DiskChoice disk;
    disk.path = setup.disk;
    disk.format = machine::DiskFormat::kRaw;
    machine.disks.push_back(std::move(disk));
    if (const auto cache = cache_directory()) machine.translation_cache = *cache / "translations";
    return machine;
}

// Without what a terminal would not show.
std::string plain(std::string_view line) {
    std::string text;
    for (const char c : line)
        if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) text += c;
    return text;
}

}  // namespace

std::string_view configured_package(std::string_view line) {
    constexpr std::string_view kBegin = "status: ", kEnd = ": installed";
    while (line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
    if (!line.starts_with(kBegin) || !line.ends_with(kEnd) || line.size() <= kBegin.size() + kEnd.size()) return {};
    return line.substr(kBegin.size(), line.size() - kBegin.size() - kEnd.size());
}

Result<> run_setup(const SetupMachine& setup) {
    DOPPEL_TRY(const UniqueFd specification, machine::to_memfd(specification_of(setup)));
    std::set<std::string> configured;
    std::deque<std::string> last;
    bool done = false, unmounted = false;
    Progress bar("configure packages", setup.packages, ProgressUnit::kItems);
    Command command{{setup.doppel_machine, "--spec-fd", std::to_string(specification.get())}};
    command.output_line = [&](std::string_view raw) {
        const std::string line = plain(raw);
        if (const auto name = configured_package(line); !name.empty()) {
            configured.emplace(name);
            bar.set(std::min(configured.size(), setup.packages));
        }
        done |= line == kSetupDone;
        unmounted |= line == std::string(kSaid) + "unmounted";
        if (line.empty() || line.starts_with("status: ") || line.starts_with(kSaid)) return;
        last.push_back(line);
        if (last.size() > kLastLines) last.pop_front();
    };
    DOPPEL_TRY(const Finished finished, run(command, setup.stop));
    if (finished.succeeded() && done && unmounted) return {};
    DOPPEL_CHECK(write_file_atomically(setup.log, finished.output + finished.diagnostics));
    std::string said = finished.succeeded() ? "" : plain(finished.diagnostics);
    for (const std::string& line : last) said += (said.empty() ? "" : " | ") + line;
    return fail(Error{"configure packages", "the machine that does it",
                      said.empty() ? "it ended with " + std::to_string(finished.exit_code) : said,
                      "all that it said is in " + setup.log.string()});
}

}  // namespace doppel::image
