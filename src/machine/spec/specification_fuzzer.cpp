// Whatever is accepted is valid and survives another round.
#include <cstdlib>

#include "machine/spec/specification.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto first = doppel::machine::from_json({reinterpret_cast<const char*>(data), size});
    if (!first) return 0;
    if (!doppel::machine::validate(*first)) std::abort();
    const auto second = doppel::machine::from_json(doppel::machine::to_json(*first));
    if (!second || !(*second == *first)) std::abort();
    return 0;
}
