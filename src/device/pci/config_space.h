// The 4 KiB configuration space of one PCI function: values, and which of their bits the guest may write.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>

#include "base/byte_order.h"
#include "base/result.h"

namespace doppel::device::pci {

// PCI Local Bus 3.0, chapter 6, and PCI Express Base 4.0, 7.2 (ECAM). Offsets and widths are bytes, integers
// little-endian. Not thread-safe: the function's lock guards it. Offsets given by the device's own code lie inside;
// those of the guest may be wild.
class ConfigSpace {
  public:
    static constexpr unsigned kSize = 4096;
    static constexpr unsigned kHeaderSize = 0x40;

    // What a saved state holds of it.
    struct Image {
        std::array<uint8_t, kSize> values{};
        template <class V>
        void fields(V& v) {
            v.field(1, values);
        }
    };

    // While the function is built: a register's value after reset and its guest-writable bits.
    template <std::unsigned_integral T>
    void define(unsigned offset, T value, T writable = 0) {
        store_le(&image_.values[offset], value);
        store_le(&defaults_[offset], value);
        store_le(&writable_[offset], writable);
    }
    // Links a capability of `bytes` bytes (its two header bytes included) into the list and returns its offset. The
    // list is written out by our own functions, which keep it within the first 256 bytes.
    unsigned add_capability(uint8_t id, unsigned bytes);

    template <std::unsigned_integral T>
    T get(unsigned offset) const {
        return load_le<T>(&image_.values[offset]);
    }
    // By the device: writable bits do not matter.
    template <std::unsigned_integral T>
    void set(unsigned offset, T value) {
        store_le(&image_.values[offset], value);
    }

    // By the guest, 1 to 4 bytes. Beyond the end: all ones, and ignored.
    uint32_t read(unsigned offset, unsigned bytes) const;
    void write(unsigned offset, unsigned bytes, uint32_t value);

    void reset() { image_.values = defaults_; }

    const Image& image() const { return image_; }
    // Fails, and changes nothing, when the image belongs to another kind of function. Only guest-writable bits are
    // taken.
    Result<> check(const Image& image) const;
    void adopt(const Image& image);

  private:
    Image image_;
    std::array<uint8_t, kSize> defaults_{};
    std::array<uint8_t, kSize> writable_{};
    unsigned capabilities_end_ = kHeaderSize;
    unsigned last_link_ = 0;  // offset of the byte that holds the end of the capability list
};

}  // namespace doppel::device::pci
