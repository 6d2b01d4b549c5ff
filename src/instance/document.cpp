#include "instance/document.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "machine/spec/members.h"

namespace doppel::instance {
namespace {

using Json = nlohmann::json;

constexpr std::array kRestarts{std::pair{std::string_view("no"), Restart::kNo},
                               std::pair{std::string_view("on-failure"), Restart::kOnFailure},
                               std::pair{std::string_view("always"), Restart::kAlways}};
constexpr size_t kMaxJson = 1 << 20;  // bytes

Error wrong(std::string why) {
    return Error::usage("the instance", std::move(why));
}

Result<> take_member(const std::string& key, const Json& value, Document& document) {
    if (key == "level") {
        if (value == "machine") return {};
        return fail(wrong("level is not machine, the only one that is built"));
    }
    if (key == "image") {
        if (!value.is_string()) return fail(wrong("image is not a text"));
        document.image = value.get<std::string>();
        return {};
    }
    if (key == "restart") {
        const auto restart = value.is_string() ? restart_from(value.get<std::string>()) : std::nullopt;
        if (!restart) return fail(wrong("restart is not no, on-failure or always"));
        document.restart = *restart;
        return {};
    }
    if (key == "remove" || key == "autostart") {
        if (!value.is_boolean()) return fail(wrong(key + " is not true or false"));
        (key == "remove" ? document.remove : document.autostart) = value.get<bool>();
        return {};
    }
    if (key == "machine") {
        if (!value.is_object()) return fail(wrong("machine is not an object"));
        DOPPEL_TRY(document.machine, machine::from_members(value));
        return {};
    }
    return fail(wrong("unknown key " + key));
}

void absolute(std::string& path, const std::filesystem::path& folder) {
    if (!path.empty()) path = (folder / path).lexically_normal().string();
}

bool is_port(const std::string& text) {
    return text.find_first_not_of("0123456789") == text.npos;
}

}  // namespace

std::optional<Restart> restart_from(std::string_view word) {
    for (const auto& [name, value] : kRestarts)
        if (name == word) return value;
    return std::nullopt;
}

std::string_view name_of(Restart restart) {
    return std::ranges::find(kRestarts, restart, [](const auto& one) { return one.second; })->first;
}

std::string to_json(const Document& document) {
    return Json{{"level", "machine"},
                {"image", document.image},
                {"restart", name_of(document.restart)},
                {"remove", document.remove},
                {"autostart", document.autostart},
                {"machine", Json::parse(machine::to_json(document.machine))}}
        .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Document> document_from_json(std::string_view text) {
    if (text.size() > kMaxJson) return fail(wrong("it is longer than 1 MiB"));
    const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return fail(wrong("it is no JSON object"));
    Document document;
    for (const auto& [key, value] : json.items()) DOPPEL_CHECK(take_member(key, value, document));
    DOPPEL_CHECK(validate(document));
    return document;
}

machine::Specification complete_for_checks(const Document& document) {
    machine::Specification whole = document.machine;
    if (!document.image.empty() && whole.kernel.empty()) whole.kernel = "kernel";
    return whole;
}

Result<> validate(const Document& document) {
    if (document.remove && document.restart != Restart::kNo)
        return fail(Error::usage("--rm", "does not go with --restart", "leave one of them out"));
    return machine::validate(complete_for_checks(document));
}

Result<> make_absolute(machine::Specification& machine, const std::string& folder) {
    if (!machine.agent.empty() || !machine.control.empty())
        return fail(Error::usage(machine.agent.empty() ? "--control" : "--agent", "an instance has a socket of its own",
                                 "leave it out"));
    for (std::string* path :
         {&machine.kernel, &machine.initrd, &machine.firmware, &machine.vsock.path, &machine.code_flash.path,
          &machine.variable_flash.path, &machine.console.path, &machine.translation_cache})
        absolute(*path, folder);
    for (auto& disk : machine.disks) absolute(disk.path, folder);
    for (auto& share : machine.shares) absolute(share.path, folder);
    for (auto& trace : machine.traces)
        if (trace.path != "-") absolute(trace.path, folder);
    if (!is_port(machine.gdb)) absolute(machine.gdb, folder);
    if (machine.statistics != "-") absolute(machine.statistics, folder);
    return {};
}

}  // namespace doppel::instance
