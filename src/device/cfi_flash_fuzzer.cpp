#include "device/cfi_flash.h"

#include "device/device_fuzzing.h"

using namespace doppel;
using namespace doppel::device;

namespace {

// What is kept is what stands in the bank.
class CheckedStore final : public FlashStore {
  public:
    explicit CheckedStore(const memory::Region& region) : region_(region) {}
    bool keep(uint64_t offset, std::span<const uint8_t> content) override {
        fuzz_require(offset <= region_.size && content.size() <= region_.size - offset);
        fuzz_require(content.data() == region_.host + offset);
        return content.empty() || content[0] != 0x55;
    }

  private:
    const memory::Region& region_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static memory::GuestMemory memory;
    static const memory::Region& region = **memory.add_code_region(0x2000'0000, 2 * CfiFlash::kBlockSize);
    if (size == 0) return 0;
    CheckedStore store(region);
    CfiFlash flash({.content = region, .store = &store, .read_only = (data[0] & 1) != 0});
    fuzz_device({flash, flash, region.size, {}}, FuzzBytes(data + 1, size - 1));
    return 0;
}
