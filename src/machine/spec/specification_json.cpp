// The JSON form of a specification, and the reader that takes it from a descriptor.
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "machine/spec/members.h"

namespace doppel::machine {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxJson = 1 << 20;  // bytes; a specification is a few hundred

Error not_a_specification(std::string why) {
    return Error{"read the specification", "", std::move(why), "", ErrorKind::kUsage};
}

Error mistyped(std::string_view option, std::string_view wanted) {
    return Error::usage(std::string(option), "is not " + std::string(wanted));
}

Result<> take(const Json& value, std::string_view option, std::string& out) {
    if (!value.is_string()) return fail(mistyped(option, "a text"));
    out = value.get<std::string>();
    return {};
}

Result<> take(const Json& value, std::string_view option, bool& out) {
    if (!value.is_boolean()) return fail(mistyped(option, "true or false"));
    out = value.get<bool>();
    return {};
}

Result<> take(const Json& value, std::string_view option, uint64_t& out) {
    if (!value.is_number_unsigned()) return fail(mistyped(option, "a whole number that is not negative"));
    out = value.get<uint64_t>();
    return {};
}

Result<> take(const Json& value, std::string_view option, unsigned& out) {
    uint64_t wide = 0;
    DOPPEL_CHECK(take(value, option, wide));
    if (wide > std::numeric_limits<unsigned>::max()) return fail(mistyped(option, "a number of 32 bits"));
    out = static_cast<unsigned>(wide);
    return {};
}

template <class T, class Parse>
Result<> take_word(const Json& value, std::string_view option, Parse parse, T& out) {
    std::string word;
    DOPPEL_CHECK(take(value, option, word));
    const auto parsed = parse(word);
    if (!parsed) return fail(mistyped(option, "a known word: " + word));
    out = *parsed;
    return {};
}

// A path that ends with what says read-only has no text of its own.
std::optional<FlashChoice> flash_choice(std::string_view text) {
    return flash_from(text);
}

// A list of what `parse` makes of each text.
template <class T, class Parse>
Result<> take_list(const Json& value, std::string_view option, Parse parse, std::vector<T>& out) {
    if (!value.is_array()) return fail(mistyped(option, "a list of texts"));
    for (const Json& element : value) {
        std::string text;
        DOPPEL_CHECK(take(element, option, text));
        DOPPEL_TRY(auto parsed, parse(text));
        out.push_back(std::move(parsed));
    }
    return {};
}

template <class T>
std::vector<std::string> texts_of(const std::vector<T>& values) {
    std::vector<std::string> texts;
    for (const T& value : values) texts.push_back(text_of(value));
    return texts;
}

Result<> take(const Json& value, std::string_view option, translate::Techniques& out) {
    std::string list;
    DOPPEL_CHECK(take(value, option, list));
    DOPPEL_TRY(out, techniques_from(list));
    return {};
}

// Empty: none.
Result<> take_quota(const Json& value, unsigned& out) {
    std::string text;
    DOPPEL_CHECK(take(value, "--cpu-quota", text));
    if (text.empty()) return {};
    DOPPEL_TRY(out, quota_from(text));
    return {};
}

Result<> take_member(const std::string& key, const Json& value, Specification& s) {
    if (key == "arch") return take_word(value, "--arch", architecture_from, s.arch);
    if (key == "engine") return take_word(value, "--engine", engine_from, s.engine);
    if (key == "code_cache") return take(value, "--code-cache", s.code_cache);
    if (key == "translation_cache") return take(value, "--translation-cache", s.translation_cache);
    if (key == "translation_cache_size") return take(value, "--translation-cache-size", s.translation_cache_size);
    if (key == "translate_without") return take(value, "--translate-without", s.techniques);
    if (key == "cpus") return take(value, "--cpus", s.cpus);
    if (key == "max_cpus") return take(value, "--cpus", s.max_cpus);
    if (key == "vlen") return take(value, "--vlen", s.vlen);
    if (key == "memory") return take(value, "--memory", s.memory);
    if (key == "kernel") return take(value, "--kernel", s.kernel);
    if (key == "initrd") return take(value, "--initrd", s.initrd);
    if (key == "append") return take(value, "--append", s.append);
    if (key == "firmware") return take(value, "--firmware", s.firmware);
    if (key == "irqchip") return take_word(value, "--irqchip", irqchip_from, s.irqchip);
    if (key == "virtio") return take_word(value, "--virtio", virtio_from, s.virtio);
    if (key == "vsock") return take_word(value, "--vsock", vsock_from, s.vsock);
    if (key == "code_flash") return take_word(value, "--flash", flash_choice, s.code_flash);
    if (key == "variable_flash") return take_word(value, "--flash", flash_choice, s.variable_flash);
    if (key == "console") return take_word(value, "--console", console_from, s.console);
    if (key == "agent") return take_word(value, "--agent", agent_from, s.agent);
    if (key == "control") return take_word(value, "--control", control_from, s.control);
    if (key == "share") return take_list(value, "--share", share_from, s.shares);
    if (key == "net") return take_list(value, "--net", net_from, s.networks);
    if (key == "publish") return take_list(value, "--publish", publish_from, s.forwards);
    if (key == "gdb") return take(value, "--gdb", s.gdb);
    if (key == "no_reboot") return take(value, "--no-reboot", s.no_reboot);
    if (key == "sandbox") return take(value, "--sandbox", s.sandbox);
    if (key == "statistics") return take(value, "--stats", s.statistics);
    if (key == "trace") return take_list(value, "--trace", trace_from, s.traces);
    if (key == "disk") return take_list(value, "--disk", disk_from, s.disks);
    if (key == "name") return take(value, "--name", s.name);
    if (key == "cpu_weight") return take(value, "--cpu-weight", s.limits.cpu_weight);
    if (key == "cpu_quota") return take_quota(value, s.limits.cpu_quota);
    if (key == "cpu_pin") return take_list(value, "--cpu-pin", pin_from, s.limits.pins);
    if (key == "memory_limit") return take(value, "--memory-limit", s.limits.memory_limit);
    if (key == "io_weight") return take(value, "--io-weight", s.limits.io_weight);
    if (key == "io_bps") return take(value, "--io-bps", s.limits.io_bps);
    if (key == "io_iops") return take(value, "--io-iops", s.limits.io_iops);
    return fail(not_a_specification("unknown key " + key));
}

// One flat object, where only some keys have a list; a key given twice is no key to trust. nullopt when it is not that.
std::optional<Json> parse_flat_object(std::string_view text) {
    std::set<std::string> seen;
    bool flat = true;
    std::string key;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
        if (event == Json::parse_event_t::key) flat = flat && seen.insert(key = parsed.get<std::string>()).second;
        if (event == Json::parse_event_t::array_start &&
            (depth != 1 || (key != "trace" && key != "disk" && key != "share" && key != "net" && key != "publish" &&
                            key != "cpu_pin")))
            flat = false;
        if (event == Json::parse_event_t::object_start && depth > 0) flat = false;
        return flat;
    };
    Json json = Json::parse(text, watch, /*allow_exceptions=*/false);
    if (!flat || !json.is_object()) return std::nullopt;
    return json;
}

}  // namespace

std::string to_json(const Specification& s) {
    return Json{{"arch", name_of(s.arch)},
                {"engine", name_of(s.engine)},
                {"code_cache", s.code_cache},
                {"translation_cache", s.translation_cache},
                {"translation_cache_size", s.translation_cache_size},
                {"translate_without", names_without(s.techniques)},
                {"cpus", s.cpus},
                {"max_cpus", s.max_cpus},
                {"vlen", s.vlen},
                {"memory", s.memory},
                {"kernel", s.kernel},
                {"initrd", s.initrd},
                {"append", s.append},
                {"firmware", s.firmware},
                {"irqchip", name_of(s.irqchip)},
                {"virtio", name_of(s.virtio)},
                {"vsock", text_of(s.vsock)},
                {"code_flash", text_of(s.code_flash)},
                {"variable_flash", text_of(s.variable_flash)},
                {"disk", texts_of(s.disks)},
                {"console", text_of(s.console)},
                {"agent", agent_text(s.agent)},
                {"control", agent_text(s.control)},
                {"share", texts_of(s.shares)},
                {"net", texts_of(s.networks)},
                {"publish", texts_of(s.forwards)},
                {"gdb", s.gdb},
                {"no_reboot", s.no_reboot},
                {"sandbox", s.sandbox},
                {"statistics", s.statistics},
                {"trace", texts_of(s.traces)},
                {"cpu_weight", s.limits.cpu_weight},
                {"cpu_quota", quota_text(s.limits.cpu_quota)},
                {"cpu_pin", texts_of(s.limits.pins)},
                {"memory_limit", s.limits.memory_limit},
                {"io_weight", s.limits.io_weight},
                {"io_bps", s.limits.io_bps},
                {"io_iops", s.limits.io_iops},
                {"name", s.name}}
        .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Specification> from_members(const nlohmann::json& object) {
    Specification specification;
    for (const auto& [key, value] : object.items()) DOPPEL_CHECK(take_member(key, value, specification));
    return specification;
}

Result<Specification> from_json(std::string_view text) {
    if (text.size() > kMaxJson) return fail(not_a_specification("it is longer than 1 MiB"));
    const auto json = parse_flat_object(text);
    if (!json) return fail(not_a_specification("it is not one flat JSON object with each key once"));
    DOPPEL_TRY(Specification specification, from_members(*json));
    DOPPEL_CHECK(validate(specification));
    return specification;
}

Result<Specification> from_fd(int fd) {
    std::string text;
    std::vector<char> part(4096);
    while (text.size() <= kMaxJson) {
        const ssize_t got = ::read(fd, part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(Error::system("read the specification", "descriptor " + std::to_string(fd), errno));
        if (got == 0) break;
        text.append(part.data(), static_cast<size_t>(got));
    }
    return from_json(text);
}

}  // namespace doppel::machine
