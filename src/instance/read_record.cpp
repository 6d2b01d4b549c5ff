// The file that a keeper writes, read by everybody else.
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "instance/keeper/layout.h"
#include "instance/store.h"

namespace doppel::instance {
namespace {

using Json = nlohmann::json;

template <class T>
bool take(const Json& json, const char* key, T& out) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_number_integer()) return false;
    out = found->get<T>();
    return true;
}

}  // namespace

std::optional<Record> parse_record(std::string_view text) {
    const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return std::nullopt;
    Record record;
    const auto phase = json.find("phase");
    if (phase == json.end() || !phase->is_string()) return std::nullopt;
    const auto word = phase->get<std::string>();
    bool known = false;
    for (const Phase one : {Phase::kStarting, Phase::kRunning, Phase::kRestarting, Phase::kEnded}) {
        if (word != word_of(one)) continue;
        record.phase = one;
        known = true;
    }
    const bool whole = known && take(json, "keeper", record.keeper) && take(json, "machine", record.machine) &&
                       take(json, "started", record.started) && take(json, "ended", record.ended) &&
                       take(json, "code", record.code) && take(json, "restarts", record.restarts);
    return whole ? std::optional(record) : std::nullopt;
}

std::optional<Record> read_record(const std::filesystem::path& directory) {
    constexpr uint64_t kLimit = 4096;
    const auto text = read_file(directory / kStatusFile, kLimit, "read the instance");
    if (!text) return std::nullopt;
    return parse_record({reinterpret_cast<const char*>(text->data()), text->size()});
}

}  // namespace doppel::instance
