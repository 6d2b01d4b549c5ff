// Registers and memory.
#include <algorithm>

#include "machine/gdb/session.h"
#include "machine/gdb/session_errors.h"

namespace doppel::machine::gdb {

namespace {

std::string unavailable(size_t bytes) {
    return std::string(2 * bytes, 'x');
}

}  // namespace

Session::Answer Session::read_registers() {
    const RegisterLayout& layout = target_.registers();
    std::string reply;
    for (size_t number = 0; number < layout.general; number++) {
        auto bytes = target_.read_register(thread_, number);
        reply += bytes ? to_hex(*bytes) : unavailable(layout.bytes[number]);
    }
    return reply;
}

Session::Answer Session::write_registers(std::string_view hex) {
    const RegisterLayout& layout = target_.registers();
    auto bytes = from_hex(hex);
    size_t total = 0;
    for (size_t number = 0; number < layout.general; number++) total += layout.bytes[number];
    if (!bytes || bytes->size() != total) return kBadPacket;
    std::string_view rest(*bytes);
    for (size_t number = 0; number < layout.general; number++) {
        // What cannot be changed (a register that is always 0) keeps its value.
        (void)target_.write_register(thread_, number, rest.substr(0, layout.bytes[number]));
        rest.remove_prefix(layout.bytes[number]);
    }
    return kOk;
}

Session::Answer Session::read_register(Fields fields) {
    const RegisterLayout& layout = target_.registers();
    auto number = fields.number();
    if (!number || *number >= layout.bytes.size()) return kBadPacket;
    auto bytes = target_.read_register(thread_, *number);
    return bytes ? to_hex(*bytes) : unavailable(layout.bytes[*number]);
}

Session::Answer Session::write_register(Fields fields) {
    const RegisterLayout& layout = target_.registers();
    auto number = fields.number();
    if (!number || *number >= layout.bytes.size() || !fields.skip('=')) return kBadPacket;
    auto bytes = from_hex(fields.rest());
    if (!bytes || bytes->size() != layout.bytes[*number]) return kBadPacket;
    return target_.write_register(thread_, *number, *bytes) ? kOk : kBadPacket;
}

Place Session::place(uint64_t address) const {
    return {thread_, physical_ ? AddressSpace::kPhysical : AddressSpace::kVirtual, address};
}

Session::Answer Session::read_memory(Fields fields) {
    auto address = fields.number();
    if (!address || !fields.skip(',')) return kBadPacket;
    auto length = fields.number();
    if (!length || !fields.at_end()) return kBadPacket;
    // Less than was asked for may come back; the debugger asks for the rest.
    std::string bytes(std::min<uint64_t>(*length, kMaxPacket / 2), '\0');
    size_t got = target_.read_memory(place(*address), {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
    if (got == 0 && *length != 0) return kBadAddress;
    return to_hex(std::string_view(bytes).substr(0, got));
}

Session::Answer Session::write_memory(Fields fields, bool binary) {
    auto address = fields.number();
    if (!address || !fields.skip(',')) return kBadPacket;
    auto length = fields.number();
    if (!length || !fields.skip(':')) return kBadPacket;
    auto bytes = binary ? std::string(fields.rest()) : from_hex(fields.rest());
    if (!bytes || bytes->size() != *length) return kBadPacket;
    if (bytes->empty()) return kOk;  // GDB asks so whether X is known
    bool written =
        target_.write_memory(place(*address), {reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size()});
    return written ? kOk : kBadAddress;
}

}  // namespace doppel::machine::gdb
