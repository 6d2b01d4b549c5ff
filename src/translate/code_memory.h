// Memory for generated code: one memfd mapped twice, writable and executable, never both at one address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"

namespace doppel::translate {

// Not thread-safe; code that others run may be patched through `writable` where the host stores at once.
class CodeMemory {
  public:
    static Result<CodeMemory> create(size_t bytes);
    CodeMemory(CodeMemory&& other) noexcept;
    CodeMemory& operator=(CodeMemory&&) = delete;
    ~CodeMemory();

    // Where `code` runs, aligned to 16 bytes; nullptr when it is full.
    uint8_t* place(std::span<const uint8_t> code);
    // The same at the other end of the memory, for code that is rarely executed: between what often is, it would cost
    // the host's instruction cache.
    uint8_t* place_cold(std::span<const uint8_t> code);
    uint8_t* writable(const uint8_t* executable) const { return writable_ + (executable - executable_); }
    bool contains(const void* address) const {
        auto* at = static_cast<const uint8_t*>(address);
        return at >= executable_ && at < executable_ + size_;
    }
    // Forgets everything but the first `kept` bytes.
    void clear(size_t kept) { used_ = kept, cold_ = size_; }
    size_t used() const { return used_ + (size_ - cold_); }
    size_t size() const { return size_; }

  private:
    CodeMemory(uint8_t* writable, uint8_t* executable, size_t size)
        : writable_(writable), executable_(executable), size_(size), cold_(size) {}

    uint8_t* writable_;
    uint8_t* executable_;
    size_t size_;
    size_t used_ = 0;  // from the beginning
    size_t cold_;      // where the last cold code begins
};

}  // namespace doppel::translate
