// create, ls, rm, show.
#include <fmt/format.h>

#include <cstdio>

#include "cli/network/verbs.h"
#include "network/lan/folder.h"

namespace doppel::cli::network {

namespace lan = doppel::network::lan;

namespace {

Result<> check_name(const std::string& name) {
    if (lan::is_label(name)) return {};
    return fail(
        Error::usage(name, "it is no name for a network", "give letters, digits and hyphens, lower case, at most 63"));
}

Result<> take_uplink(const std::string& text, lan::NetworkOptions& options) {
    constexpr std::string_view kTap = "tap:";
    constexpr size_t kMaxInterface = 15;
    if (text == "nat" || text == "none") {
        options.uplink = text == "nat" ? lan::Uplink::kNat : lan::Uplink::kNone;
        return {};
    }
    options.tap = text.starts_with(kTap) ? text.substr(kTap.size()) : std::string();
    if (options.tap.empty() || options.tap.size() > kMaxInterface)
        return fail(Error::usage("--uplink", text + " is no way out", "give nat, none or tap:INTERFACE"));
    options.uplink = lan::Uplink::kTap;
    return {};
}

// Of a network that runs; discarded: it does not.
Result<lan::Json> shown(const lan::Folder& folder, const std::string& name) {
    DOPPEL_TRY(const auto socket, folder.connect(name));
    if (!socket) return lan::Json(lan::Json::value_t::discarded);
    DOPPEL_TRY(auto answer, lan::ask(socket->get(), {{"do", "show"}}));
    return std::move(answer.json);
}

size_t members_of(const lan::Json& network) {
    size_t members = 0;
    for (const lan::Json& port : network.value("ports", lan::Json::array()))
        members += port.value("uplink", false) ? 0 : 1;
    return members;
}

Error unknown(const std::string& name) {
    return {"find the network", name, "there is none of this name", "doppel network ls lists them"};
}

void print(const lan::Json& value) {
    std::puts(value.dump(2, ' ', false, lan::Json::error_handler_t::replace).c_str());
}

// What `ls` and `show` say of one that does not run.
lan::Json at_rest(const lan::NetworkOptions& options) {
    lan::Json json = lan::Json::parse(to_json(options));
    json.update(
        {{"pid", nullptr}, {"prefix", lan::text_of_ipv6(prefix6(options)) + "/64"}, {"ports", lan::Json::array()}});
    return json;
}

Result<lan::Json> describe(const lan::Folder& folder, const std::string& name) {
    DOPPEL_TRY(lan::Json network, shown(folder, name));
    const bool runs = network.is_object();
    if (!runs) {
        DOPPEL_TRY(const auto options, folder.definition(name));
        network = at_rest(options);
    }
    network["state"] = runs ? "running" : "stopped";
    return network;
}

}  // namespace

Result<int> create(const CreateCommand& command) {
    DOPPEL_CHECK(check_name(command.name));
    lan::NetworkOptions options = lan::default_network(command.name);
    options.kept = true;
    options.restricted = command.restricted;
    DOPPEL_CHECK(take_uplink(command.uplink, options));
    // Behind a tap there are others who give addresses.
    options.services = !command.no_services && options.uplink != lan::Uplink::kTap;
    if (!command.subnet.empty()) {
        DOPPEL_TRY(options.subnet, lan::subnet_from(command.subnet));
    }
    DOPPEL_TRY(const lan::Folder folder, lan::Folder::of_user());
    DOPPEL_TRY(const auto running, folder.connect(command.name));
    if (folder.is_defined(command.name) || running)
        return fail(Error{"create the network", command.name, "there is one of this name",
                          "remove it first: doppel network rm " + command.name});
    DOPPEL_CHECK(folder.define(options));
    if (const auto reached = folder.reach(command.name); !reached) {
        (void)folder.forget(command.name);
        return fail(reached.error());
    }
    std::puts(command.name.c_str());
    return 0;
}

Result<int> list(const ListCommand& command) {
    DOPPEL_TRY(const lan::Folder folder, lan::Folder::of_user());
    lan::Json all = lan::Json::array();
    for (const std::string& name : folder.names()) {
        DOPPEL_TRY(const lan::Json network, describe(folder, name));
        // What a killed switch has left, and nobody has defined, is no network.
        if (network["state"] == "stopped" && !folder.is_defined(name)) continue;
        all.push_back({{"name", name},
                       {"state", network["state"]},
                       {"kept", network["kept"]},
                       {"members", members_of(network)},
                       {"subnet", network["subnet"]},
                       {"uplink", network["uplink"]},
                       {"pid", network["pid"]}});
    }
    if (command.as_json) return print(all), 0;
    if (!all.empty())
        std::puts(fmt::format("{:20} {:8} {:>7}  {:18} {}", "NAME", "STATE", "MEMBERS", "SUBNET", "UPLINK").c_str());
    for (const lan::Json& one : all)
        std::puts(fmt::format("{:20} {:8} {:>7}  {:18} {}", one["name"].get<std::string>(),
                              one["state"].get<std::string>(), one["members"].get<size_t>(),
                              one["subnet"].get<std::string>(), one["uplink"].get<std::string>())
                      .c_str());
    return 0;
}

Result<int> remove(const RemoveCommand& command) {
    DOPPEL_TRY(const lan::Folder folder, lan::Folder::of_user());
    for (const std::string& name : command.names) {
        DOPPEL_CHECK(check_name(name));
        DOPPEL_TRY(const auto socket, folder.connect(name));
        if (!socket && !folder.is_defined(name)) return fail(unknown(name));
        if (socket) {
            DOPPEL_TRY(const auto answer, lan::ask(socket->get(), {{"do", "show"}}));
            const size_t members = members_of(answer.json);
            if (members != 0 && !command.force)
                return fail(Error{"remove the network", name, fmt::format("{} members are plugged into it", members),
                                  "end them first, or cut them off with --force"});
            DOPPEL_TRY(const auto stopped, lan::ask(socket->get(), {{"do", "stop"}}));
        }
        DOPPEL_CHECK(folder.forget(name));
        std::puts(name.c_str());
    }
    return 0;
}

Result<int> show(const ShowCommand& command) {
    DOPPEL_CHECK(check_name(command.name));
    DOPPEL_TRY(const lan::Folder folder, lan::Folder::of_user());
    DOPPEL_TRY(const lan::Json network, describe(folder, command.name));
    if (network["state"] == "stopped" && !folder.is_defined(command.name)) return fail(unknown(command.name));
    if (command.as_json) return print(network), 0;
    std::puts(fmt::format("{} {}: {} {}, uplink {}", command.name, network["state"].get<std::string>(),
                          network["subnet"].get<std::string>(), network["prefix"].get<std::string>(),
                          network["uplink"].get<std::string>())
                  .c_str());
    for (const lan::Json& port : network["ports"]) {
        const lan::Json& counters = port["counters"];
        uint64_t dropped = 0;
        for (const auto& [name, value] : counters.items())
            dropped += name.starts_with("dropped_") ? value.get<uint64_t>() : 0;
        const lan::Json& addresses = port["addresses"];
        std::puts(fmt::format("  {:20} {:17} {:15} received {}, sent {}, dropped {}", port["name"].get<std::string>(),
                              port["mac"].is_string() ? port["mac"].get<std::string>() : "-",
                              addresses.empty() ? "-" : addresses[0].get<std::string>(),
                              counters["received"].get<uint64_t>(), counters["sent"].get<uint64_t>(), dropped)
                      .c_str());
    }
    return 0;
}

}  // namespace doppel::cli::network
