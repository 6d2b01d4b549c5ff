// What every memory-mapped device implements.
#pragma once

#include <cstdint>
#include <mutex>
#include <string_view>

namespace doppel::device {

// A device knows no board, no engine, no transport and no file format. The bus calls read and write under `lock()`, on
// a vCPU's thread; a device's own callbacks (event loop) take the lock themselves. Lock order: device, interrupt
// controller, vCPU. Offsets lie inside the mapped range; `bytes` is 1, 2, 4 or 8 and within the widths of the mapping;
// accesses may be misaligned only where the mapping says so. A wild value is ignored or answered as the device's manual
// says, never an abort.
class Device {
  public:
    virtual ~Device() = default;
    virtual std::string_view name() const = 0;
    virtual uint64_t read(uint64_t offset, unsigned bytes) = 0;
    virtual void write(uint64_t offset, unsigned bytes, uint64_t value) = 0;
    virtual void reset() = 0;  // to the power-on state; called under lock()

    // Const, so that save() can take it.
    std::mutex& lock() const { return lock_; }

  private:
    mutable std::mutex lock_;
};

}  // namespace doppel::device
