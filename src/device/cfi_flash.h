// Parallel NOR flash: two 16-bit chips side by side on a 32-bit bus, as on QEMU's `virt` machine, with the Intel/Sharp
// extended command set. Sources: JESD68.01 "Common Flash Interface", JEP137 command set 0x0001, Intel "StrataFlash
// Embedded Memory (P30)" datasheet; Linux Documentation/devicetree/bindings/mtd/mtd-physmap.yaml.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/saved_state.h"
#include "device/device.h"
#include "memory/guest_memory.h"

namespace doppel::device {

// Where a bank's content outlives the machine. Called on a vCPU's thread under the bank's lock.
class FlashStore {
  public:
    virtual ~FlashStore() = default;
    // `content` is what now stands at `offset`, in bytes from the bank's start. False: it could not be kept, which the
    // guest sees as a failed operation.
    virtual bool keep(uint64_t offset, std::span<const uint8_t> content) = 0;
};

// What a guest writes goes to both chips, as all drivers do for chips in parallel; a write's low byte is the command.
// Operations end at once. Programming clears bits, erasing a block sets all of its bits.
class CfiFlash final : public Device, public Saved {
  public:
    static constexpr uint64_t kBlockSize = 256 << 10;  // bytes, of both chips
    static constexpr unsigned kBusBytes = 4;

    struct Parts {
        // A code region of a power of two of at least two blocks. Its bytes are the bank's content: instructions are
        // fetched from it in whatever mode the chips are, and it is readable while they read as an array.
        const memory::Region& content;
        FlashStore* store = nullptr;  // null: nothing outlives the machine
        bool read_only = false;       // every block is locked down
    };
    // What `parts` points to outlives this.
    explicit CfiFlash(const Parts& parts);

    std::string_view name() const override { return "cfi-flash"; }
    uint64_t read(uint64_t offset, unsigned bytes) override;
    void write(uint64_t offset, unsigned bytes, uint64_t value) override;
    void reset() override;  // the content stays

    // Without the content, which is guest memory's.
    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    // What reads answer.
    enum class Mode : uint8_t { kArray, kStatus, kIdentifier, kQuery };
    // What the next write is.
    enum class Expected : uint8_t { kCommand, kWord, kCount, kData, kProgramConfirm, kEraseConfirm, kLock };

    struct Registers {
        Mode mode = Mode::kArray;
        Expected expected = Expected::kCommand;
        uint8_t status = 0;
        uint64_t target = 0;          // the block, or the buffer's first byte: offsets
        uint32_t remaining = 0;       // writes until the buffer is full
        bool buffer_started = false;  // its first write is there, and `target` is its offset
        std::vector<uint8_t> buffer;  // what to program at `target`
        std::vector<uint8_t> locks;   // a block each: bit 0 locked, bit 1 locked down

        template <class V>
        void fields(V& v) {
            v.field(1, mode);
            v.field(2, expected);
            v.field(3, status);
            v.field(4, target);
            v.field(5, remaining);
            v.field(6, buffer_started);
            v.field(7, buffer);
            v.field(8, locks);
        }
    };

    uint64_t size() const { return content_.size; }
    bool fits(uint64_t offset, unsigned bytes) const { return offset < size() && offset % bytes == 0; }
    void set_mode(Mode mode);
    bool possible(const Registers& registers) const;
    uint8_t identifier_byte(uint64_t offset) const;
    void command(uint64_t offset, uint8_t value);
    void begin(Expected expected, uint64_t offset);
    void finish(uint8_t status_bits = 0);
    void take_count(uint32_t count);
    void take_data(uint64_t offset, unsigned bytes, uint64_t value);
    void set_lock(uint8_t value);
    void program(uint64_t offset, std::span<const uint8_t> bytes);
    void erase();
    bool changed(uint64_t offset, uint64_t length);

    const memory::Region& content_;
    FlashStore* const store_;
    const bool read_only_;
    std::array<uint8_t, 0x40> query_{};  // one chip's answers, by its 16-bit word
    Registers registers_;
};

}  // namespace doppel::device
