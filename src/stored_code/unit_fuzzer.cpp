// What is accepted keeps the rules and survives another round.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "stored_code/unit.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel::stored_code;
    const auto unit = decode({data, size});
    if (!unit) return 0;
    std::array<uint8_t, kPageBytes> page{};
    size_t at = 0;
    for (const Part& part : unit->parts) {
        std::copy_n(unit->guest.begin() + static_cast<ptrdiff_t>(at), part.bytes, page.begin() + part.offset);
        at += part.bytes;
    }
    if (unit->parts.size() == 1 && !is_code_of(*unit, page)) std::abort();
    if (!std::ranges::equal(encode(*unit), std::span(data, size))) std::abort();
    if (key_of(*unit) != key_of(*decode({data, size}))) std::abort();
    return 0;
}
