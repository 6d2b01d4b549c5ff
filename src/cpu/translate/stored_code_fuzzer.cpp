// Whatever notes say, what is made of them are units that can be stored.
#include <algorithm>
#include <cstdlib>

#include "cpu/translate/stored_code.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel;
    for (const auto& unit : cpu::translate::read_notes({data, size}).units) {
        if (stored_code::decode(stored_code::encode(unit)) != unit) std::abort();
    }
    return 0;
}
