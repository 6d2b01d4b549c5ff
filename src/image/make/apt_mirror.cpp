#include "image/make/apt_mirror.h"

#include <algorithm>
#include <array>

#include "image/make/process.h"

namespace doppel::image {

namespace {

using Fields = std::array<std::string_view, 5>;  // as in kIndexTargetFormat

bool split(std::string_view line, Fields& fields) {
    for (size_t i = 0; i < fields.size(); i++) {
        size_t bar = line.find('|');
        bool last = i + 1 == fields.size();
        if ((bar == line.npos) != last) return false;
        fields[i] = line.substr(0, bar);
        line.remove_prefix(last ? line.size() : bar + 1);
    }
    return true;
}

bool is_known(std::string_view field) {
    return !field.empty() && !field.starts_with("$(");  // apt leaves what it does not know as it is
}

// Before the first `apt-get update`, apt knows addresses but neither origin nor label.
bool looks_like_main_archive(std::string_view address, std::string_view release) {
    for (std::string_view other : {"security", "ports", "backports", "debug", "lts", "elts"}) {
        if (address.find(other) != address.npos) return false;
    }
    return address.find("debian") != address.npos && release.find("security") == release.npos;
}

bool is_main_archive(const Fields& fields) {
    const auto& [site, origin, label, release, component] = fields;
    if (component != "main" || !is_mirror_address(site)) return false;
    if (is_known(origin) || is_known(label)) return origin == "Debian" && label == "Debian";
    return looks_like_main_archive(site, release);
}

}  // namespace

bool is_mirror_address(std::string_view address) {
    size_t colon = address.find(':');
    return colon != address.npos && colon > 0 && colon + 1 < address.size() && address.size() < 1024 &&
           std::all_of(address.begin(), address.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

std::string choose_mirror(std::string_view index_targets) {
    std::string guess;
    while (!index_targets.empty()) {
        size_t end = std::min(index_targets.find('\n'), index_targets.size());
        Fields fields;
        if (split(index_targets.substr(0, end), fields) && is_main_archive(fields)) {
            if (is_known(fields[1])) return std::string(fields[0]);
            if (guess.empty()) guess = fields[0];
        }
        index_targets.remove_prefix(std::min(end + 1, index_targets.size()));
    }
    return guess;
}

Result<std::string> configured_mirror(const StopRequest& stop) {
    // Without --no-release-info apt leaves out what was never updated; with it, origin and label are left out.
    for (const char* release_info : {"--release-info", "--no-release-info"}) {
        Command command{{"apt-get", "indextargets", release_info, "--format", std::string(kIndexTargetFormat)},
                        {{"LC_ALL", "C"}}};
        DOPPEL_TRY(Finished finished, run(command, stop));
        if (std::string mirror = choose_mirror(finished.output); !mirror.empty()) return mirror;
    }
    return fail(Error{"find mirror", "apt", "it is configured with no Debian archive",
                      "give one with --mirror ADDRESS or DOPPEL_MIRROR"});
}

}  // namespace doppel::image
