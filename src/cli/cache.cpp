// doppel cache: the translated code that is kept for later machines.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/sizes.h"
#include "cli/commands.h"
#include "cli/plan.h"
#include "stored_code/folder.h"

namespace doppel::cli {
namespace {

using stored_code::Folder;
using stored_code::Listed;

Result<Folder> chosen_folder(const Arguments& arguments) {
    if (const auto place = arguments.value("--translation-cache")) {
        if (place->empty()) return fail(Error::usage("--translation-cache", "its value is empty"));
        return Folder(*place);
    }
    DOPPEL_TRY(const auto folder, default_translation_cache());
    return Folder(folder);
}

// RFC 3339, UTC.
std::string time_text(int64_t seconds) {
    const auto when = static_cast<time_t>(seconds);
    tm fields{};
    char text[32] = "";
    if (gmtime_r(&when, &fields) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &fields);
    return text;
}

void print(const std::vector<Listed>& all) {
    std::printf("%10s  %12s  %-20s  %s\n", "SIZE", "TRANSLATIONS", "USED", "GUEST");
    for (const Listed& one : all)
        if (!one.damage)
            std::printf("%10s  %12zu  %-20s  %s\n", format_size_rounded(one.bytes).c_str(), one.units,
                        time_text(one.used).c_str(), printable(one.identity.guest).c_str());
}

void print_json(const std::vector<Listed>& all) {
    auto array = nlohmann::json::array();
    for (const Listed& one : all)
        if (!one.damage)
            array.push_back({{"file", one.path.string()},
                             {"guest", one.identity.guest},
                             {"configuration", one.identity.configuration},
                             {"translations", one.units},
                             {"bytes", one.bytes},
                             {"used", time_text(one.used)}});
    std::puts(array.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

Result<int> list(const Folder& folder, bool json) {
    DOPPEL_TRY(const std::vector<Listed> all, folder.list());
    if (json)
        print_json(all);
    else if (!std::ranges::all_of(all, [](const Listed& one) { return one.damage.has_value(); }))
        print(all);
    const Error* last = nullptr;
    for (const Listed& one : all) {
        if (!one.damage) continue;
        if (last != nullptr) std::fprintf(stderr, "doppel: %s\n", last->message().c_str());
        last = &*one.damage;
    }
    if (last != nullptr) return fail(*last);
    return 0;
}

Result<int> clear(const Folder& folder, bool json) {
    DOPPEL_TRY(const uint64_t bytes, folder.clear());
    if (json)
        std::printf("{\"freed_bytes\": %llu}\n", static_cast<unsigned long long>(bytes));
    else
        std::printf("%s freed\n", format_size_rounded(bytes).c_str());
    return 0;
}

}  // namespace

Result<int> run_cache(const Arguments& arguments) {
    if (arguments.operands().empty())
        return fail(Error::usage("cache", "its verb is missing", "doppel help cache lists them"));
    const std::string& verb = arguments.operands()[0];
    DOPPEL_TRY(const Folder folder, chosen_folder(arguments));
    if (verb == "ls") return list(folder, arguments.has("--json"));
    if (verb == "clear") return clear(folder, arguments.has("--json"));
    return fail(Error::usage(verb, "no such verb", "doppel help cache lists them"));
}

}  // namespace doppel::cli
