// Any operation on any bits must agree with the exact reference, in every rounding mode.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "isa/float/float_check.h"

namespace fp = doppel::isa::fp;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    struct {
        uint8_t operation;
        uint8_t wide;
        fp::check::Operands operands;
    } input{};
    if (size < 2) return 0;
    input.operation = data[0];
    input.wide = data[1];
    std::memcpy(&input.operands, data + 2, std::min(size - 2, sizeof input.operands));
    auto operation = static_cast<fp::check::Operation>(input.operation % fp::check::kOperations);
    std::string difference = (input.wide & 1) != 0 ? fp::check::compare<fp::Binary64>(operation, input.operands)
                                                   : fp::check::compare<fp::Binary32>(operation, input.operands);
    if (!difference.empty()) {
        std::fprintf(stderr, "%s\n", difference.c_str());
        std::abort();
    }
    return 0;
}
