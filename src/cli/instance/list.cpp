// doppel ls and doppel info.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/columns.h"
#include "cli/instance/session.h"
#include "cli/instance/verbs.h"
#include "instance/limits.h"

namespace doppel::cli {

using instance::Instance;
using instance::RunState;
using instance::Store;
using Json = nlohmann::json;

namespace {

// With what only the running machine knows.
struct Shown {
    Instance instance;
    std::string engine;
    Json pid;  // null: it has no process
};

Shown look(const Store& store, Instance instance) {
    Shown shown;
    shown.engine = machine::name_of(instance.document.machine.engine);
    const bool up = instance.state == RunState::kRunning;
    if (up && instance.record->machine > 0) shown.pid = instance.record->machine;
    if (up) {
        const auto status = instance::control(store, instance, {});
        if (status && status->paused) instance.state = RunState::kPaused;
        if (status) shown.engine = status->engine;
    }
    shown.instance = std::move(instance);
    return shown;
}

Json json_of(const Shown& shown) {
    const Instance& one = shown.instance;
    return {{"name", one.row.name},   {"state", one.row.deleted ? "deleted" : instance::name_of(one.state)},
            {"level", "machine"},     {"arch", machine::name_of(one.document.machine.arch)},
            {"engine", shown.engine}, {"image", one.document.image},
            {"pid", shown.pid},       {"created", time_text(one.row.created)},
            {"address", nullptr}};
}

void print(const Json& json) {
    std::puts(json.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

void print_table(const std::vector<Json>& rows) {
    const std::vector<Column> columns{{"NAME"}, {"STATE"}, {"LEVEL"}, {"ARCH"}, {"ENGINE"}, {"IMAGE"}, {"CREATED"}};
    std::vector<std::vector<std::string>> cells;
    for (const Json& row : rows) {
        std::vector<std::string>& line = cells.emplace_back();
        for (const char* key : {"name", "state", "level", "arch", "engine", "image", "created"})
            line.push_back(row[key].get<std::string>());
    }
    std::fputs(table(columns, cells).c_str(), stdout);
}

Json details(const Store& store, const Shown& shown) {
    const Instance& one = shown.instance;
    Json json = json_of(shown);
    json["id"] = one.row.id;
    json["directory"] = store.folder().directory_of(one.row.id).string();
    json["specification"] = Json::parse(one.row.document, nullptr, false);
    json["limits"] = Json::array();
    const auto limits = one.runs()
                            ? instance::carried_limits(store.folder().directory_of(one.row.id), one.document.machine)
                            : instance::expected_limits(one.document.machine, /*instance=*/true);
    for (const auto& [limit, value, by] : limits)
        json["limits"].push_back({{"limit", limit}, {"value", value}, {"carried_by", by}});
    if (one.row.deleted) json["deleted"] = time_text(*one.row.deleted);
    if (one.record) {
        const auto& record = *one.record;
        json["started"] = time_text(record.started);
        json["restarts"] = record.restarts;
        json["ended"] = record.ended != 0 ? Json(time_text(record.ended)) : Json();
        json["exit_code"] = record.code >= 0 ? Json(record.code) : Json();
    }
    return json;
}

void print_details(const Json& json) {
    for (const auto& [key, value] : json.items()) {
        if (key == "specification" || key == "limits") continue;
        std::printf("%-13s %s\n", key.c_str(),
                    value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
    }
    for (const Json& one : json["limits"])
        std::printf("%-13s %s, by %s\n", one["limit"].get_ref<const std::string&>().c_str(),
                    one["value"].get_ref<const std::string&>().c_str(),
                    one["carried_by"].get_ref<const std::string&>().c_str());
    const Json& specification = json["specification"];
    for (const auto& [key, value] : specification["machine"].items()) {
        if (value == "" || value == Json::array()) continue;
        std::printf("  %-24s %s\n", key.c_str(),
                    value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
    }
}

}  // namespace

Result<int> run_ls(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    DOPPEL_TRY(std::vector<Instance> instances, store.list(arguments.has("--deleted")));
    if (arguments.has("--quiet")) {
        for (const Instance& one : instances) std::puts(one.row.name.c_str());
        return 0;
    }
    std::vector<Json> rows;
    for (Instance& one : instances) rows.push_back(json_of(look(store, std::move(one))));
    if (arguments.has("--json"))
        print(rows);
    else
        print_table(rows);
    return 0;
}

Result<int> run_info(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    Json array = Json::array();
    DOPPEL_TRY(const int code, for_each_name(arguments, store, [&](const Instance& one) -> Result<> {
                   const Json json = details(store, look(store, one));
                   if (!arguments.has("--json")) print_details(json);
                   array.push_back(json);
                   return {};
               }));
    if (arguments.has("--json")) print(array);
    return code;
}

}  // namespace doppel::cli
