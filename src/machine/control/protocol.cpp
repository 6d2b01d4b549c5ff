#include "machine/control/protocol.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace doppel::machine::control {
namespace {

using Json = nlohmann::json;

constexpr std::array kCommands{std::pair{std::string_view("status"), Command::kStatus},
                               std::pair{std::string_view("pause"), Command::kPause},
                               std::pair{std::string_view("resume"), Command::kResume},
                               std::pair{std::string_view("power_key"), Command::kPowerKey},
                               std::pair{std::string_view("balloon"), Command::kBalloon},
                               std::pair{std::string_view("engine"), Command::kEngine},
                               std::pair{std::string_view("limits"), Command::kLimits},
                               std::pair{std::string_view("attach_disk"), Command::kAttachDisk},
                               std::pair{std::string_view("find_disk"), Command::kFindDisk},
                               std::pair{std::string_view("detach_disk"), Command::kDetachDisk},
                               std::pair{std::string_view("quit"), Command::kQuit}};
constexpr const char* kRead = "read the request";
constexpr const char* kAnswer = "control the machine";

// Two levels at most, so that hostile text costs nothing; nullopt: it is no such object.
std::optional<Json> parse_object(std::string_view line) {
    if (line.size() > kMaxLine) return std::nullopt;
    bool flat = true;
    const auto watch = [&flat](int depth, Json::parse_event_t event, Json&) {
        constexpr int kDeepest = 2;
        if (event == Json::parse_event_t::array_start || depth > kDeepest) flat = false;
        return flat;
    };
    Json json = Json::parse(line, watch, /*allow_exceptions=*/false);
    if (!flat || !json.is_object()) return std::nullopt;
    return json;
}

bool names_disk(Command command) {
    return command == Command::kAttachDisk || command == Command::kFindDisk || command == Command::kDetachDisk;
}

Error refuse(std::string why) {
    return {kRead, "", std::move(why), ""};
}

Error nonsense() {
    return {kAnswer, "the machine", "its answer makes no sense", "use the doppel that started it"};
}

template <class T>
bool take_number(const Json& json, const char* key, T& out) {
    const auto found = json.find(key);
    if (found == json.end()) return true;
    if (!found->is_number_unsigned() || found->get<uint64_t>() > std::numeric_limits<T>::max()) return false;
    out = found->get<T>();
    return true;
}

constexpr std::array kLimitMembers{"cpu_quota", "io_bps", "io_iops"};

// All of them.
bool take_limits(const Json& json, Limits& limits) {
    return std::ranges::all_of(kLimitMembers, [&](const char* member) { return json.contains(member); }) &&
           take_number(json, "cpu_quota", limits.cpu_quota) && take_number(json, "io_bps", limits.io_bps) &&
           take_number(json, "io_iops", limits.io_iops);
}

std::string line_of(Json json) {
    json["version"] = kVersion;
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

Result<Request> parse_request(std::string_view line) {
    const auto json = parse_object(line);
    if (!json) return fail(refuse("it is no JSON object on a line"));
    const auto version = json->find("version");
    if (version == json->end() || !version->is_number_unsigned()) return fail(refuse("it has no version"));
    if (version->get<uint64_t>() != kVersion) return fail(refuse("its version is not " + std::to_string(kVersion)));
    const auto word = json->find("do");
    if (word == json->end() || !word->is_string()) return fail(refuse("it does not say what to do"));
    const auto command = std::ranges::find(kCommands, word->get<std::string>(),
                                           [](const auto& known) { return std::string(known.first); });
    if (command == kCommands.end()) return fail(refuse("it asks for what this machine cannot do"));
    Request request{command->second};
    const bool sized = request.command == Command::kBalloon;
    if (sized != json->contains("bytes") || !take_number(*json, "bytes", request.bytes))
        return fail(refuse(sized ? "it lacks a number of bytes" : "it has bytes that are not asked for"));
    const bool names_engine = request.command == Command::kEngine;
    if (names_engine) {
        const auto engine = json->find("engine");
        if (engine == json->end() || !engine->is_string()) return fail(refuse("it lacks an engine"));
        request.engine = engine->get<std::string>();
    }
    if (names_disk(request.command)) {
        const auto disk = json->find("disk");
        if (disk == json->end() || !disk->is_string()) return fail(refuse("it lacks a disk"));
        request.disk = disk->get<std::string>();
    }
    if (request.command == Command::kLimits && !take_limits(*json, request.limits))
        return fail(refuse("it lacks a limit, or has one that is no number"));
    const size_t limits = request.command == Command::kLimits ? kLimitMembers.size() : 0;
    const size_t members = 2 + limits + (sized || names_engine || names_disk(request.command) ? 1 : 0);
    if (json->size() != members) return fail(refuse("it has an unknown member"));
    return request;
}

Result<Status> parse_answer(std::string_view line) {
    const auto json = parse_object(line);
    if (!json) return fail(nonsense());
    const auto ok = json->find("ok"), error = json->find("error"), machine = json->find("machine");
    if (ok == json->end() || !ok->is_boolean()) return fail(nonsense());
    if (!ok->get<bool>()) {
        if (error == json->end() || !error->is_string()) return fail(nonsense());
        return fail(Error{error->get<std::string>(), "", "", ""});
    }
    if (machine == json->end() || !machine->is_object()) return fail(nonsense());
    Status status;
    const auto paused = machine->find("paused"), engine = machine->find("engine");
    if (paused == machine->end() || !paused->is_boolean()) return fail(nonsense());
    status.paused = paused->get<bool>();
    if (engine != machine->end() && engine->is_string()) status.engine = engine->get<std::string>();
    const bool good = take_number(*machine, "cpus", status.cpus) && take_number(*machine, "memory", status.memory) &&
                      take_number(*machine, "balloon", status.balloon) &&
                      take_number(*machine, "balloon_target", status.balloon_target) &&
                      take_number(*machine, "instructions", status.instructions) &&
                      take_number(*machine, "net_received", status.net_received) &&
                      take_number(*machine, "net_sent", status.net_sent) && take_number(*machine, "slot", status.slot);
    take_limits(*machine, status.limits);  // a machine of an older doppel has none
    if (!good) return fail(nonsense());
    return status;
}

std::string encode(const Request& request) {
    const auto known = std::ranges::find(kCommands, request.command, [](const auto& one) { return one.second; });
    Json json{{"do", known->first}};
    if (request.command == Command::kBalloon) json["bytes"] = request.bytes;
    if (request.command == Command::kEngine) json["engine"] = request.engine;
    if (names_disk(request.command)) json["disk"] = request.disk;
    if (request.command == Command::kLimits) {
        json["cpu_quota"] = request.limits.cpu_quota;
        json["io_bps"] = request.limits.io_bps;
        json["io_iops"] = request.limits.io_iops;
    }
    return line_of(std::move(json));
}

std::string encode(const Status& status) {
    return line_of({{"ok", true},
                    {"machine",
                     {{"paused", status.paused},
                      {"engine", status.engine},
                      {"cpus", status.cpus},
                      {"memory", status.memory},
                      {"balloon", status.balloon},
                      {"balloon_target", status.balloon_target},
                      {"instructions", status.instructions},
                      {"net_received", status.net_received},
                      {"net_sent", status.net_sent},
                      {"cpu_quota", status.limits.cpu_quota},
                      {"io_bps", status.limits.io_bps},
                      {"io_iops", status.limits.io_iops},
                      {"slot", status.slot}}}});
}

std::string encode(const Error& error) {
    constexpr size_t kLongest = 1024;
    return line_of({{"ok", false}, {"error", error.message().substr(0, kLongest)}});
}

}  // namespace doppel::machine::control
