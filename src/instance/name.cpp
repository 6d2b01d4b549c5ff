#include "instance/name.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "base/entropy.h"

namespace doppel::instance {
namespace {

constexpr std::array kAdjectives{"amber", "brave", "brisk",  "calm",   "clear", "clever", "crisp", "early",
                                 "fair",  "fleet", "fresh",  "gentle", "glad",  "grand",  "happy", "keen",
                                 "kind",  "light", "lively", "lucky",  "merry", "mild",   "neat",  "noble",
                                 "plain", "proud", "quick",  "quiet",  "sharp", "steady", "swift", "warm"};
constexpr std::array kNouns{"badger", "beaver", "bison", "crane",  "deer",  "dove",  "eagle", "falcon",
                            "finch",  "fox",    "goose", "hare",   "hawk",  "heron", "horse", "ibex",
                            "jay",    "lark",   "lynx",  "marten", "mole",  "newt",  "otter", "owl",
                            "panda",  "raven",  "robin", "seal",   "stork", "swan",  "tern",  "wren"};

uint64_t random_number() {
    std::array<uint8_t, sizeof(uint64_t)> raw{};
    uint64_t value = 0;
    if (host_entropy(raw)) std::memcpy(&value, raw.data(), raw.size());
    return value;
}

bool alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

Result<> check_name(std::string_view name) {
    constexpr size_t kLongest = 64;
    const bool good =
        !name.empty() && name.size() <= kLongest && alphanumeric(name.front()) &&
        std::ranges::all_of(name, [](char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
    if (good) return {};
    return fail(Error::usage(std::string(name), "it is no name",
                             "use at most 64 letters, digits, '.', '_' and '-', a letter or digit first"));
}

std::string generated_name(const std::function<bool(const std::string&)>& taken) {
    constexpr int kTries = 100;
    for (int i = 0; i < kTries; i++) {
        const uint64_t random = random_number();
        std::string name = std::string(kAdjectives[random % kAdjectives.size()]) + "-" +
                           kNouns[random / kAdjectives.size() % kNouns.size()];
        if (!taken(name)) return name;
    }
    return "instance-" + new_id();
}

Result<size_t> resolve_name(std::string_view wanted, const std::vector<std::string>& names) {
    if (const auto exact = std::ranges::find(names, wanted); exact != names.end())
        return static_cast<size_t>(exact - names.begin());
    std::vector<size_t> found;
    for (size_t i = 0; i < names.size(); i++)
        if (!wanted.empty() && names[i].starts_with(wanted)) found.push_back(i);
    if (found.size() == 1) return found.front();
    const std::string subject(wanted);
    if (found.empty())
        return fail(Error{"find the instance", subject, "there is none of that name", "doppel ls lists them"});
    constexpr size_t kShown = 4;
    std::string list;
    for (size_t i = 0; i < std::min(found.size(), kShown); i++) list += (i > 0 ? ", " : "") + names[found[i]];
    if (found.size() > kShown) list += " and others";
    return fail(Error{"find the instance", subject, "several begin like that", "say which: " + list});
}

std::string new_id() {
    char text[17];
    snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(random_number()));
    return text;
}

}  // namespace doppel::instance
