// Chapter "Debug Console Extension".
#include <algorithm>
#include <array>

#include "machine/firmware/sbi_call.h"

namespace doppel::machine::firmware {

namespace {

constexpr size_t kPieceBytes = 4096;
// Both transfers may be partial; what is left is the guest's next call.
constexpr uint64_t kMaxWriteBytes = 16 * kPieceBytes;

// "Shared memory physical address range parameter", with memory as the guest could reach it itself.
bool shared(SbiCall& call, bool guest_must_be_able_to_write) {
    uint64_t length = call.argument(0), address = call.argument(1), address_high = call.argument(2);
    if (length == 0) return true;
    if (address_high != 0) return false;
    const memory::Region* region = call.services.memory().find(address, length);
    return region != nullptr && (region->writable || !guest_must_be_able_to_write);
}

SbiAnswer write(SbiCall& call) {
    if (!shared(call, false)) return answer(SbiError::kInvalidParam);
    uint64_t address = call.argument(1), length = std::min(call.argument(0), kMaxWriteBytes);
    std::array<uint8_t, kPieceBytes> bytes;
    for (uint64_t done = 0; done < length;) {
        auto piece = std::span(bytes).first(std::min<uint64_t>(kPieceBytes, length - done));
        if (!call.services.memory().read(address + done, piece)) return answer(SbiError::kFailed);
        call.services.console_write(piece);
        done += piece.size();
    }
    return SbiAnswer::of(length);
}

SbiAnswer read(SbiCall& call) {
    if (!shared(call, true)) return answer(SbiError::kInvalidParam);
    std::array<uint8_t, kPieceBytes> bytes;
    auto room = std::span(bytes).first(std::min<uint64_t>(kPieceBytes, call.argument(0)));
    if (room.empty()) return {};
    auto got = room.first(std::min(room.size(), call.services.console_read(room)));
    if (got.empty()) return {};
    if (!call.services.memory().write(call.argument(1), got)) return answer(SbiError::kFailed);
    return SbiAnswer::of(got.size());
}

SbiAnswer write_byte(SbiCall& call) {
    uint8_t byte = static_cast<uint8_t>(call.argument(0));
    call.services.console_write({&byte, 1});
    return {};
}

}  // namespace

SbiAnswer sbi_dbcn(SbiCall& call) {
    switch (call.function()) {
        case 0:
            return write(call);
        case 1:
            return read(call);
        case 2:
            return write_byte(call);
        default:
            return answer(SbiError::kNotSupported);
    }
}

}  // namespace doppel::machine::firmware
