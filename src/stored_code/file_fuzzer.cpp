// Any file can be read and asked, with its header's checksum and without; what it gives out is a unit.
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <span>
#include <vector>

#include "base/byte_order.h"
#include "base/file.h"
#include "base/hash.h"
#include "stored_code/file.h"

namespace {

using namespace doppel::stored_code;

void read(const std::vector<uint8_t>& bytes) {
    doppel::UniqueFd fd(memfd_create("fuzzed", MFD_CLOEXEC));
    if (!fd || !doppel::write_all(fd.get(), bytes)) std::abort();
    const auto file = File::read(std::move(fd), "fuzzed");
    if (!file) return;
    std::array<uint8_t, kPageBytes> page{};
    for (size_t i = 0; i < file->count(); i++) {
        const auto unit = file->read_unit(i);
        if (unit && encode(*unit).empty()) std::abort();
    }
    for (uint32_t offset = 0; offset < kPageBytes; offset += 2) {
        const auto found = file->find(page, static_cast<uint16_t>(offset), 1);
        if (found && *found >= file->count()) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    constexpr size_t kHeader = 48, kSizeAt = 16, kChecksumAt = 40, kIndexAt = 12;
    std::vector<uint8_t> bytes(data, data + size);
    read(bytes);
    if (size < kHeader) return 0;
    doppel::store_le<uint64_t>(&bytes[kSizeAt], size);
    const size_t index = doppel::load_le<uint32_t>(&bytes[kIndexAt]);
    if (index > size - kHeader) return 0;
    const std::span<const uint8_t> all(bytes);
    doppel::store_le<uint64_t>(&bytes[kChecksumAt],
                               doppel::hash64(all.first(kChecksumAt)) ^ doppel::hash64(all.subspan(kHeader, index)));
    read(bytes);
    return 0;
}
