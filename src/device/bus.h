// The memory-mapped bus: guest physical ranges to devices.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "device/device.h"

namespace doppel::device {

// Access widths, in bytes, that a mapping accepts; anything else is an access fault.
struct Widths {
    unsigned min = 1;
    unsigned max = 8;
};

// Mapped while the machine is built; then read-only and used by all vCPU threads at once. Devices must outlive the bus.
class Bus {
  public:
    // `size` > 0, no overlap with another mapping. Accesses must be naturally aligned.
    Result<> map(uint64_t base, uint64_t size, Device& device, Widths widths = {});

    // nullopt / false where nothing is mapped or the access does not fit the mapping: the guest takes an access fault.
    std::optional<uint64_t> read(uint64_t address, unsigned bytes) const;
    [[nodiscard]] bool write(uint64_t address, unsigned bytes, uint64_t value) const;

  private:
    struct Mapping {
        uint64_t base;
        uint64_t size;
        Device* device;
        Widths widths;
    };
    const Mapping* find(uint64_t address, unsigned bytes) const;

    std::vector<Mapping> mappings_;  // ascending by base
};

}  // namespace doppel::device
