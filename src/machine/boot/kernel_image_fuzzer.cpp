#include <cstdlib>

#include "machine/boot/kernel_image.h"
#include "machine/boot/loader.h"
#include "machine/boot/test_files.h"

namespace {

using namespace doppel::machine::boot;

// A valid file of every form for the mutations to start from; the fuzzer itself would hardly find a checksum.
std::vector<uint8_t> sample(uint8_t form) {
    const test::Bytes image = test::make_image(600);
    switch (form % 8) {
        case 0:
            return image;
        case 1: {
            test::Bytes with_stub = image;
            test::add_pe_header(with_stub, 0x5064, 600);
            return with_stub;
        }
        case 2:
            return test::gzip(image);
        case 3:
            return test::zstd(image);
        case 4:
            return test::xz(image);
        case 5:
            return test::zboot(test::gzip(image), "gzip");
        case 6:
            return test::zboot(test::zstd(image), "zstd22");
        default:
            return test::TestElf().build();
    }
}

void check(std::vector<uint8_t> file) {
    const auto kernel = unpack_kernel(std::move(file), "fuzz");
    if (!kernel) {
        if (kernel.error().why.empty()) std::abort();
        return;
    }
    const Ram ram{0x8000'0000, uint64_t{64} << 20};
    const auto layout = plan_boot({.kernel = &*kernel}, ram);
    if (!layout) return;
    const bool inside = layout->kernel_start >= ram.base && layout->kernel_end <= ram.base + ram.size &&
                        layout->entry >= layout->kernel_start && layout->entry < layout->kernel_end;
    const bool apart = layout->device_tree >= ram.base && layout->device_tree + kDeviceTreeRoom <= ram.base + ram.size;
    if (!inside || !apart) std::abort();
}

}  // namespace

// Byte 0: 0xff takes the rest as the file; anything else picks a sample, changed by the rest as (offset16, byte)
// triples.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    if (data[0] == 0xff) {
        check(std::vector<uint8_t>(data + 1, data + size));
        return 0;
    }
    std::vector<uint8_t> file = sample(data[0]);
    for (size_t i = 1; i + 3 <= size; i += 3) file[doppel::load_le<uint16_t>(data + i) % file.size()] = data[i + 2];
    check(std::move(file));
    return 0;
}
