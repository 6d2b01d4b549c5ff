// General queries, and the commands of GDB's `monitor`.
#include <fmt/format.h>

#include <algorithm>

#include "machine/gdb/session.h"
#include "machine/gdb/session_errors.h"

namespace doppel::machine::gdb {

namespace {

constexpr std::string_view kDescription = "qXfer:features:read:", kExtraInfo = "qThreadExtraInfo,", kCommand = "qRcmd,";

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r\n";
    size_t first = std::min(text.find_first_not_of(kBlank), text.size());
    text.remove_prefix(first);
    return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

}  // namespace

Session::Answer Session::query(std::string_view packet) {
    std::string_view name = packet.substr(0, packet.find_first_of(":,;"));
    if (name == "qSupported") return supported(Fields(packet.substr(name.size())));
    if (packet.starts_with(kDescription)) return read_description(Fields(packet.substr(kDescription.size())));
    if (packet == "QStartNoAckMode") {
        acknowledges_ = false;
        return kOk;
    }
    if (name == "qAttached") return "1";  // so that GDB's `quit` detaches, and does not kill
    if (packet == "qC") return fmt::format("QC{:x}", stopped_thread_ + 1);
    if (packet == "qfThreadInfo") return thread_list();
    if (packet == "qsThreadInfo") return "l";
    if (packet.starts_with(kExtraInfo)) {
        auto id = Fields(packet.substr(kExtraInfo.size())).number();
        auto thread = id ? thread_of(*id) : std::nullopt;
        return thread ? to_hex(target_.thread_info(*thread)) : kNoThread;
    }
    if (packet.starts_with(kCommand)) return monitor(packet.substr(kCommand.size()));
    if (packet == "qSymbol::") return kOk;  // no symbols are wanted
    return kNotSupported;
}

Session::Answer Session::supported(Fields fields) {
    fields.skip(':');
    while (!fields.at_end()) {
        std::string_view feature = fields.until(';');
        knows_swbreak_ |= feature == "swbreak+";
        knows_hwbreak_ |= feature == "hwbreak+";
    }
    return fmt::format(
        "PacketSize={:x};QStartNoAckMode+;qXfer:features:read+;swbreak+;hwbreak+;vContSupported+;QNonStop-;"
        "multiprocess-",
        kMaxPacket);
}

// target.xml:OFFSET,LENGTH
Session::Answer Session::read_description(Fields fields) {
    if (fields.until(':') != "target.xml") return "E00";  // as the protocol says of an unknown annex
    auto offset = fields.number();
    if (!offset || !fields.skip(',')) return kBadPacket;
    auto length = fields.number();
    if (!length || !fields.at_end()) return kBadPacket;
    std::string_view text = target_.registers().description;
    if (*offset > text.size()) return kBadPacket;
    std::string_view rest = text.substr(*offset);
    std::string_view part = rest.substr(0, std::min<uint64_t>(*length, kMaxPacket / 2));
    return (part.size() < rest.size() ? "m" : "l") + std::string(part);
}

Session::Answer Session::thread_list() const {
    std::string list;
    for (unsigned thread = 0; thread < target_.thread_count(); thread++) {
        list += fmt::format("{}{:x}", thread == 0 ? "m" : ",", thread + 1);
    }
    return list;
}

Session::Answer Session::monitor(std::string_view hex) {
    auto text = from_hex(hex);
    if (!text) return kBadPacket;
    if (target_.running()) return kBusy;
    std::string_view command = trimmed(*text);
    std::string_view word = command.substr(0, command.find(' '));
    if (word == "phys") return to_hex(monitor_physical(trimmed(command.substr(word.size()))));
    if (command.empty() || command == "help") {
        return to_hex("phys on|off   whether addresses of memory are physical\n" + target_.monitor_help());
    }
    auto told = target_.monitor(command);
    return to_hex(told ? *told : "no such command; monitor help lists them\n");
}

std::string Session::monitor_physical(std::string_view argument) {
    if (argument != "on" && argument != "off" && !argument.empty()) return "monitor phys on|off\n";
    if (!argument.empty()) physical_ = argument == "on";
    return fmt::format("addresses of memory are {}\n", physical_ ? "physical" : "virtual");
}

}  // namespace doppel::machine::gdb
