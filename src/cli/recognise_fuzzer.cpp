#include <cstdlib>

#include "cli/recognise.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (doppel::cli::recognise_bytes({data, size}).kind.empty()) std::abort();
    return 0;
}
