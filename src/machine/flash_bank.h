// A bank of flash: its content in guest memory, and the file that the content comes from and may go back to.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "device/cfi_flash.h"
#include "machine/spec/specification.h"
#include "memory/guest_memory.h"

namespace doppel::machine {

// A file that a bank's changes are written to. Opened with a lock, so that no two machines write to one.
class FlashFile final : public device::FlashStore {
  public:
    // `bank` is the bank's whole content and outlives this; `length` is the file's, at most the bank's.
    FlashFile(UniqueFd file, std::string path, std::span<const uint8_t> bank, uint64_t length)
        : file_(std::move(file)), path_(std::move(path)), bank_(bank), length_(length) {}

    // On the disk when it returns. A file that is shorter than the bank grows as far as it was written to.
    bool keep(uint64_t offset, std::span<const uint8_t> content) override;

  private:
    UniqueFd file_;
    std::string path_;
    std::span<const uint8_t> bank_;
    uint64_t length_;
    bool complained_ = false;
};

struct FlashBank {
    const memory::Region* content;
    std::unique_ptr<FlashFile> file;  // null: what the guest writes ends with the machine
    bool read_only;
};

enum class FlashUse {
    kCode,       // the file is only read: the guest's changes last as long as the machine
    kVariables,  // the file is written to, unless the choice is read-only
};

struct FlashPlace {
    memory::GuestMemory& memory;
    uint64_t base;  // guest physical
    uint64_t size;  // bytes
};

// Adds the bank to memory. What the file does not fill, and a bank without a file (an empty path), is erased.
Result<FlashBank> open_flash_bank(const FlashChoice& choice, FlashUse use, const FlashPlace& place);

}  // namespace doppel::machine
