// Random blocks, compiled and run on the host, do what they mean.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "translate/x86/native_machine.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel::translate;
    static x86::NativeMachine native;
    Choices choices(std::span(data, size));
    x86::Trial trial = x86::try_random_blocks(native, choices);
    if (trial.problem.empty()) return 0;
    std::fprintf(stderr, "%s", trial.problem.c_str());
    std::abort();
}
