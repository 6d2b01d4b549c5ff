#include "device/cfi_flash.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/byte_order.h"
#include "device/restored.h"

namespace doppel::device {

namespace {

// P30 datasheet, "Command Bus Operations"
namespace commands {
constexpr uint8_t kReadArray = 0xff;
constexpr uint8_t kReset = 0xf0;  // of the AMD command set; drivers send it while they look for either
constexpr uint8_t kReadStatus = 0x70;
constexpr uint8_t kClearStatus = 0x50;
constexpr uint8_t kReadIdentifier = 0x90;
constexpr uint8_t kReadQuery = 0x98;
constexpr uint8_t kProgram = 0x40;
constexpr uint8_t kProgramAlternate = 0x10;
constexpr uint8_t kBufferedProgram = 0xe8;
constexpr uint8_t kErase = 0x20;
constexpr uint8_t kLockSetup = 0x60;
constexpr uint8_t kConfirm = 0xd0;  // behind kLockSetup: unlock
constexpr uint8_t kLock = 0x01;
constexpr uint8_t kLockDown = 0x2f;
constexpr uint8_t kSetConfiguration = 0x03;
}  // namespace commands

// P30 datasheet, "Read Status Register"
namespace status {
constexpr uint8_t kReady = 0x80;
constexpr uint8_t kEraseFailed = 0x20;
constexpr uint8_t kProgramFailed = 0x10;
constexpr uint8_t kLocked = 0x02;
constexpr uint8_t kSequenceError = kEraseFailed | kProgramFailed;
}  // namespace status

constexpr uint8_t kLockedBit = 1, kLockedDownBit = 2;

constexpr unsigned kChips = 2;
constexpr unsigned kChipBytes = CfiFlash::kBusBytes / kChips;
constexpr uint8_t kManufacturer = 0x89;  // Intel
constexpr uint8_t kDevice = 0x18;        // 128 Mbit
constexpr unsigned kBufferBits = 10;     // log2 of a chip's write buffer in bytes
constexpr uint32_t kBufferWords = (1 << kBufferBits) / kChipBytes;

// JESD68.01, "CFI Query Structure Output", and JEP137's primary table of command set 1.
void fill_query(std::span<uint8_t> query, uint64_t size) {
    const uint64_t chip = size / kChips, block = CfiFlash::kBlockSize / kChips, blocks = chip / block;
    const auto put = [&](size_t at, std::initializer_list<uint64_t> values) {
        for (const uint64_t value : values) query[at++] = static_cast<uint8_t>(value);
    };
    constexpr uint64_t kPrimaryTable = 0x31;
    put(0x10, {'Q', 'R', 'Y', 0x01, 0x00, kPrimaryTable, 0x00});
    put(0x1b, {0x17, 0x20});               // supply voltage, 1.7 to 2.0 V
    put(0x1f, {8, 9, 10, 0, 1, 1, 2, 0});  // typical times (2^n us, us, ms, ms) and how often longer at most (2^n)
    put(0x27, {static_cast<uint64_t>(std::countr_zero(chip))});
    put(0x28, {0x01, 0x00});  // a 16-bit interface
    put(0x2a, {kBufferBits, 0});
    put(0x2c, {1, (blocks - 1) & 0xff, (blocks - 1) >> 8, block >> 8 & 0xff, block >> 16});
    put(kPrimaryTable, {'P', 'R', 'I', '1', '0'});
    put(0x36, {0x20, 0, 0, 0});  // instant individual block locking
    put(0x3b, {0x03, 0x00});     // lock and lock-down bits are in the block status
    put(0x3d, {0x18, 0x00});     // 1.8 V
}

// What both chips answer side by side: the byte of `chip_word` that stands at `offset`.
uint8_t lane(uint16_t chip_word, uint64_t offset) {
    return static_cast<uint8_t>(chip_word >> (8 * (offset % kChipBytes)));
}

}  // namespace

CfiFlash::CfiFlash(const Parts& parts) : content_(parts.content), store_(parts.store), read_only_(parts.read_only) {
    fill_query(query_, size());
    registers_.locks.resize(size() / kBlockSize);
    reset();
}

void CfiFlash::reset() {
    set_mode(Mode::kArray);
    registers_.expected = Expected::kCommand;
    registers_.status = status::kReady;
    registers_.target = 0;
    registers_.remaining = 0;
    registers_.buffer_started = false;
    registers_.buffer.clear();
    std::ranges::fill(registers_.locks, read_only_ ? kLockedBit | kLockedDownBit : 0);
}

void CfiFlash::set_mode(Mode mode) {
    registers_.mode = mode;
    content_.readable.store(mode == Mode::kArray, std::memory_order_relaxed);
}

uint64_t CfiFlash::read(uint64_t offset, unsigned bytes) {
    if (!fits(offset, bytes)) return 0;
    uint8_t raw[8] = {};
    if (registers_.mode == Mode::kArray) {
        std::memcpy(raw, content_.host + offset, bytes);
        return load_le<uint64_t>(raw);
    }
    for (unsigned i = 0; i < bytes; i++) {
        raw[i] = registers_.mode == Mode::kStatus ? lane(registers_.status, offset + i) : identifier_byte(offset + i);
    }
    return load_le<uint64_t>(raw);
}

// P30 datasheet, "Device Identification": words of a chip, the lock status in each block.
uint8_t CfiFlash::identifier_byte(uint64_t offset) const {
    const uint64_t word = offset % kBlockSize / kBusBytes;
    switch (word) {
        case 0:
            return lane(kManufacturer, offset);
        case 1:
            return lane(kDevice, offset);
        case 2:
            return lane(registers_.locks[offset / kBlockSize], offset);
        default:
            return registers_.mode == Mode::kQuery && word < query_.size() ? lane(query_[word], offset) : 0;
    }
}

void CfiFlash::write(uint64_t offset, unsigned bytes, uint64_t value) {
    if (!fits(offset, bytes)) return;
    if (bytes > kBusBytes) {
        write(offset, kBusBytes, value & 0xffffffff);
        return write(offset + kBusBytes, kBusBytes, value >> 32);
    }
    switch (registers_.expected) {
        case Expected::kCommand:
            return command(offset, static_cast<uint8_t>(value));
        case Expected::kWord: {
            uint8_t raw[8];
            store_le<uint64_t>(raw, value);
            return program(offset, std::span(raw).first(bytes));
        }
        case Expected::kCount:
            return take_count(static_cast<uint32_t>(value & 0xffff) + 1);
        case Expected::kData:
            return take_data(offset, bytes, value);
        case Expected::kProgramConfirm:
            if (static_cast<uint8_t>(value) != commands::kConfirm) return finish(status::kSequenceError);
            return program(registers_.target, std::vector<uint8_t>(std::move(registers_.buffer)));
        case Expected::kEraseConfirm:
            if (static_cast<uint8_t>(value) != commands::kConfirm) return finish(status::kSequenceError);
            return erase();
        case Expected::kLock:
            return set_lock(static_cast<uint8_t>(value));
    }
}

void CfiFlash::command(uint64_t offset, uint8_t value) {
    switch (value) {
        case commands::kReadArray:
        case commands::kReset:
            set_mode(Mode::kArray);
            return;
        case commands::kReadStatus:
            set_mode(Mode::kStatus);
            return;
        case commands::kReadIdentifier:
            set_mode(Mode::kIdentifier);
            return;
        case commands::kReadQuery:
            set_mode(Mode::kQuery);
            return;
        case commands::kClearStatus:
            registers_.status = status::kReady;
            return;
        case commands::kProgram:
        case commands::kProgramAlternate:
            return begin(Expected::kWord, offset);
        case commands::kBufferedProgram:
            return begin(Expected::kCount, offset);
        case commands::kErase:
            return begin(Expected::kEraseConfirm, offset);
        case commands::kLockSetup:
            return begin(Expected::kLock, offset);
        default:
            return;  // suspend and resume, as nothing lasts, and what no chip of this kind knows
    }
}

void CfiFlash::begin(Expected expected, uint64_t offset) {
    registers_.expected = expected;
    set_mode(Mode::kStatus);
    registers_.target = offset / kBlockSize * kBlockSize;
}

void CfiFlash::finish(uint8_t status_bits) {
    registers_.status |= status_bits;
    registers_.expected = Expected::kCommand;
    registers_.remaining = 0;
    registers_.buffer_started = false;
    registers_.buffer.clear();
}

void CfiFlash::take_count(uint32_t count) {
    if (count > kBufferWords) return finish(status::kSequenceError);
    registers_.remaining = count;
    registers_.buffer.assign(size_t{count} * kBusBytes, 0xff);
    registers_.expected = Expected::kData;
}

// The first write says where the buffer begins; all lie in it and in the command's block.
void CfiFlash::take_data(uint64_t offset, unsigned bytes, uint64_t value) {
    Registers& r = registers_;
    if (offset / kBlockSize != r.target / kBlockSize) return finish(status::kSequenceError);
    if (!r.buffer_started) {
        r.target = offset / kBusBytes * kBusBytes;
        r.buffer_started = true;
    }
    const bool inside = offset >= r.target && offset - r.target + bytes <= r.buffer.size();
    if (!inside || r.target % kBlockSize + r.buffer.size() > kBlockSize) return finish(status::kSequenceError);
    uint8_t raw[8];
    store_le<uint64_t>(raw, value);
    std::copy_n(raw, bytes, r.buffer.begin() + static_cast<ptrdiff_t>(offset - r.target));
    if (--r.remaining == 0) r.expected = Expected::kProgramConfirm;
}

void CfiFlash::set_lock(uint8_t value) {
    uint8_t& lock = registers_.locks[registers_.target / kBlockSize];
    switch (value) {
        case commands::kLock:
            lock |= kLockedBit;
            return finish();
        case commands::kLockDown:
            lock |= kLockedBit | kLockedDownBit;
            return finish();
        case commands::kConfirm:
            if ((lock & kLockedDownBit) == 0) lock = 0;
            return finish();
        case commands::kSetConfiguration:  // burst reads, which a bus like this does not have
            return finish();
        default:
            return finish(status::kSequenceError);
    }
}

void CfiFlash::program(uint64_t offset, std::span<const uint8_t> bytes) {
    if ((registers_.locks[offset / kBlockSize] & kLockedBit) != 0) {
        return finish(status::kProgramFailed | status::kLocked);
    }
    for (size_t i = 0; i < bytes.size(); i++) content_.host[offset + i] &= bytes[i];
    finish(changed(offset, bytes.size()) ? 0 : status::kProgramFailed);
}

void CfiFlash::erase() {
    const uint64_t block = registers_.target / kBlockSize * kBlockSize;
    if ((registers_.locks[block / kBlockSize] & kLockedBit) != 0) return finish(status::kEraseFailed | status::kLocked);
    std::memset(content_.host + block, 0xff, kBlockSize);
    finish(changed(block, kBlockSize) ? 0 : status::kEraseFailed);
}

bool CfiFlash::changed(uint64_t offset, uint64_t length) {
    memory::GuestMemory::mark_dirty(content_, content_.base + offset, length);
    return store_ == nullptr || store_->keep(offset, {content_.host + offset, length});
}

void CfiFlash::save(StateWriter& writer) const {
    std::lock_guard guard(lock());
    Registers saved = registers_;
    saved.fields(writer);
}

// Whether the commands above could have led there.
bool CfiFlash::possible(const Registers& r) const {
    if (r.mode > Mode::kQuery || r.expected > Expected::kLock || (r.status & status::kReady) == 0) return false;
    if (r.locks.size() != size() / kBlockSize || r.target >= size()) return false;
    for (const uint8_t lock : r.locks) {
        if (lock != 0 && lock != kLockedBit && lock != (kLockedBit | kLockedDownBit)) return false;
        if (read_only_ && (lock & kLockedDownBit) == 0) return false;
    }
    const bool filling = r.expected == Expected::kData, full = r.expected == Expected::kProgramConfirm;
    const bool begun = r.expected != Expected::kCommand && !r.buffer_started;
    if (begun && r.target % kBlockSize != 0) return false;
    if (!filling && !full) return r.buffer.empty() && r.remaining == 0 && !r.buffer_started;
    const uint64_t words = r.buffer.size() / kBusBytes;
    if (words == 0 || words > kBufferWords || r.buffer.size() % kBusBytes != 0) return false;
    if (r.target % kBusBytes != 0 || r.target % kBlockSize + (r.buffer_started ? r.buffer.size() : 0) > kBlockSize) {
        return false;
    }
    return full ? r.remaining == 0 && r.buffer_started
                : r.remaining != 0 && r.remaining <= words && r.buffer_started == (r.remaining < words);
}

Result<> CfiFlash::restore(StateReader& reader) {
    Registers restored;
    restored.locks = registers_.locks;
    restored.fields(reader);
    DOPPEL_CHECK(reader.finish("restore cfi-flash"));
    DOPPEL_CHECK(check_restored(possible(restored), "cfi-flash", "its state"));
    std::lock_guard guard(lock());
    registers_ = std::move(restored);
    set_mode(registers_.mode);
    return {};
}

}  // namespace doppel::device
