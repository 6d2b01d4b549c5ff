#include "image/make/busybox.h"

#include <algorithm>
#include <string_view>

namespace doppel::image {

namespace {

constexpr size_t kMostApplets = 2000;
constexpr size_t kFewestApplets = 16;  // a shorter run of sorted words is a coincidence

bool is_applet_name(std::string_view name) {
    return name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                      c == '_' || c == '[' || c == '.' || c == '+';
           });
}

std::vector<std::string> sorted_names(std::string_view text) {
    std::vector<std::string> names;
    while (names.size() < kMostApplets) {
        size_t end = text.find('\0');
        if (end == text.npos) return {};
        std::string_view name = text.substr(0, end);
        if (name.empty()) return names;
        if (!is_applet_name(name) || (!names.empty() && name <= names.back())) return {};
        names.emplace_back(name);
        text.remove_prefix(end + 1);
    }
    return {};
}

}  // namespace

std::vector<std::string> busybox_applets(std::span<const uint8_t> program) {
    using namespace std::string_view_literals;
    // "[" and "[[" sort before every letter, so they are the block's first names.
    constexpr std::string_view kFirst = "[\0[[\0"sv;
    std::string_view text(reinterpret_cast<const char*>(program.data()), program.size());
    for (size_t found = text.find(kFirst); found != text.npos; found = text.find(kFirst, found + 1)) {
        auto names = sorted_names(text.substr(found));
        if (names.size() >= kFewestApplets) return names;
    }
    return {};
}

}  // namespace doppel::image
