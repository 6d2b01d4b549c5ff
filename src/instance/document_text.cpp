#include "instance/document_text.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/sizes.h"

namespace doppel::instance {
namespace {

using Json = nlohmann::json;

constexpr std::array kSizes{std::string_view("memory"), std::string_view("code_cache"),
                            std::string_view("translation_cache_size"), std::string_view("memory_limit"),
                            std::string_view("io_bps")};
constexpr std::array kOwn{std::string_view("image"), std::string_view("restart"), std::string_view("remove"),
                          std::string_view("autostart")};
// The instance has these itself.
constexpr std::array kHidden{std::string_view("agent"), std::string_view("control"), std::string_view("name")};

bool contains(const auto& words, std::string_view word) {
    return std::ranges::find(words, word) != words.end();
}

// All keys in one object; sizes are texts.
Json flat(const Document& document) {
    Json json = Json::parse(to_json(document));
    Json all = json["machine"];
    for (const auto key : kOwn) all[std::string(key)] = json[std::string(key)];
    for (const auto key : kHidden) all.erase(std::string(key));
    for (const auto key : kSizes) all[std::string(key)] = format_size(all[std::string(key)].get<uint64_t>());
    return all;
}

Result<Document> from_flat(const Json& all) {
    Json json{{"level", "machine"}, {"machine", Json::object()}};
    for (const auto& [key, value] : all.items()) {
        if (contains(kHidden, key)) return fail(Error::usage(key, "it cannot be set", "doppel rename changes a name"));
        Json taken = value;
        if (contains(kSizes, key) && value.is_string()) {
            DOPPEL_TRY(const uint64_t size, parse_size(value.get<std::string>(), key));
            taken = size;
        }
        (contains(kOwn, key) ? json : json["machine"])[key] = std::move(taken);
    }
    return document_from_json(json.dump());
}

std::string toml_text(const Json& value) {
    std::ostringstream text;
    if (value.is_string()) {
        const toml::value<std::string> node(value.get<std::string>());
        text << toml::toml_formatter(node, toml::format_flags::none);
    } else if (value.is_array()) {
        std::string list;
        for (const Json& element : value) list += (list.empty() ? "" : ", ") + toml_text(element);
        return "[" + list + "]";
    } else {
        text << value.dump();
    }
    return text.str();
}

Result<Json> json_from(const toml::node& node, const std::string& key) {
    if (const auto text = node.value_exact<std::string>()) return Json(*text);
    if (const auto flag = node.value_exact<bool>()) return Json(*flag);
    if (const auto number = node.value_exact<int64_t>()) {
        if (*number >= 0) return Json(static_cast<uint64_t>(*number));
        return fail(Error::usage(key, "is negative"));
    }
    if (const toml::array* list = node.as_array()) {
        Json json = Json::array();
        for (const toml::node& element : *list) {
            DOPPEL_TRY(Json one, json_from(element, key));
            json.push_back(std::move(one));
        }
        return json;
    }
    return fail(Error::usage(key, "is neither a text, a number, true, false nor a list of texts"));
}

Result<Json> value_like(const Json& now, const std::string& key, const std::vector<std::string>& texts) {
    if (now.is_array()) {
        Json list = Json::array();
        for (const std::string& text : texts)
            if (!text.empty()) list.push_back(text);
        return list;
    }
    if (texts.size() > 1) return fail(Error::usage(key, "it is given twice"));
    const std::string& text = texts.front();
    if (now.is_boolean()) {
        if (text == "true" || text == "false") return Json(text == "true");
        return fail(Error::usage(key, text + " is neither true nor false"));
    }
    if (now.is_number()) {
        uint64_t number = 0;
        const char* end = text.data() + text.size();
        const auto [stop, problem] = std::from_chars(text.data(), end, number);
        if (problem == std::errc() && stop == end) return Json(number);
        return fail(Error::usage(key, text + " is not a number"));
    }
    return Json(text);
}

// "KEY", "KEY+" or "KEY-": what is to be done with a list.
struct Assignment {
    std::string key;
    char how = '=';
};

Assignment assignment_of(std::string word) {
    if (!word.ends_with('+') && !word.ends_with('-')) return {std::move(word), '='};
    const char how = word.back();
    word.pop_back();
    return {std::move(word), how};
}

// An element of a list is what was given, or what stands before its first comma or colon.
bool means(const std::string& element, const std::string& given) {
    return element == given ||
           (element.starts_with(given) && (element[given.size()] == ',' || element[given.size()] == ':'));
}

Result<> change_list(Json& list, const Assignment& assignment, const std::string& text) {
    if (!list.is_array()) return fail(Error::usage(assignment.key, "it is no list", "give KEY=VALUE"));
    if (text.empty()) return fail(Error::usage(assignment.key, "there is nothing to add or remove"));
    if (assignment.how == '+') {
        list.push_back(text);
        return {};
    }
    const auto found = std::ranges::find_if(list, [&](const Json& one) { return means(one.get<std::string>(), text); });
    if (found == list.end()) return fail(Error::usage(assignment.key, "there is no " + text + " in it"));
    list.erase(found);
    return {};
}

}  // namespace

std::string to_toml(const Document& document) {
    std::string text;
    const Json all = flat(document);
    for (const auto key : kOwn) text += std::string(key) + " = " + toml_text(all[std::string(key)]) + "\n";
    for (const auto& [key, value] : all.items())
        if (!contains(kOwn, key)) text += key + " = " + toml_text(value) + "\n";
    return text;
}

Result<Document> document_from_toml(std::string_view text, std::string* name) {
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        const auto& error = parsed.error();
        return fail(Error::usage("line " + std::to_string(error.source().begin.line), std::string(error.description()),
                                 "it is to be TOML"));
    }
    Json all = Json::object();
    for (const auto& [key, node] : parsed.table()) {
        const std::string word(key.str());
        DOPPEL_TRY(Json value, json_from(node, word));
        if (name != nullptr && word == "name" && value.is_string())
            *name = value.get<std::string>();
        else
            all[word] = std::move(value);
    }
    return from_flat(all);
}

Result<> set_values(Document& document, const std::vector<std::string>& assignments) {
    Json all = flat(document);
    std::vector<std::pair<std::string, std::vector<std::string>>> given;
    for (const std::string& assignment : assignments) {
        const size_t equals = assignment.find('=');
        if (equals == assignment.npos || equals == 0)
            return fail(Error::usage(assignment, "it is no KEY=VALUE", "such as cpus=4"));
        auto [key, how] = assignment_of(assignment.substr(0, equals));
        if (!all.contains(key)) return fail(Error::usage(key, "there is no such key", "doppel edit shows all of them"));
        if (how != '=') {
            DOPPEL_CHECK(change_list(all[key], {key, how}, assignment.substr(equals + 1)));
            continue;
        }
        const auto known = std::ranges::find(given, key, [](const auto& one) { return one.first; });
        std::vector<std::string>& values = known != given.end()
                                               ? known->second
                                               : given.emplace_back(std::move(key), std::vector<std::string>()).second;
        values.push_back(assignment.substr(equals + 1));
    }
    for (const auto& [key, texts] : given) {
        DOPPEL_TRY(all[key], value_like(all[key], key, texts));
    }
    DOPPEL_TRY(document, from_flat(all));
    return {};
}

std::vector<std::string> changed_keys(const Document& before, const Document& after) {
    const Json old = flat(before), now = flat(after);
    std::vector<std::string> keys;
    for (const auto& [key, value] : now.items())
        if (old[key] != value) keys.push_back(key);
    return keys;
}

std::string difference(const Document& before, const Document& after) {
    const Json old = flat(before), now = flat(after);
    std::string text;
    for (const std::string& key : changed_keys(before, after))
        text += "-" + key + " = " + toml_text(old[key]) + "\n+" + key + " = " + toml_text(now[key]) + "\n";
    return text;
}

}  // namespace doppel::instance
