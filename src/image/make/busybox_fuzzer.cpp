#include "image/make/busybox.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    for (const auto& name : doppel::image::busybox_applets({data, size})) {
        if (name.empty() || name.find('/') != name.npos) __builtin_trap();
    }
    return 0;
}
