// image.json lies where anything may have written to it.
#include <cstdlib>

#include "image/catalog.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    auto image = doppel::image::parse_image({reinterpret_cast<const char*>(data), size}, "fuzz");
    if (image && !doppel::image::parse_image(doppel::image::to_json(*image), "fuzz")) std::abort();
    return 0;
}
