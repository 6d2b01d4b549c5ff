#include "machine/htif.h"

namespace doppel::machine {

std::optional<uint64_t> Htif::poll() {
    uint64_t request = memory_.load<uint64_t>(tohost_).value_or(0);
    if (request == 0) return std::nullopt;
    uint8_t device = static_cast<uint8_t>(request >> 56);
    uint8_t command = static_cast<uint8_t>(request >> 48);
    if (device == 0 && command == 0 && (request & 1)) return request >> 1;
    constexpr uint8_t kConsole = 1, kPutCharacter = 1;
    if (device == kConsole && command == kPutCharacter) {
        uint8_t character = static_cast<uint8_t>(request);
        console_({&character, 1});
    }
    // Stores that fail are the program's fault: its symbols lie outside RAM.
    (void)memory_.store<uint64_t>(tohost_, 0);
    if (fromhost_) (void)memory_.store<uint64_t>(*fromhost_, (request & (uint64_t{0xffff} << 48)) | 1);
    return std::nullopt;
}

}  // namespace doppel::machine
