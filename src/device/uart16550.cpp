#include "device/uart16550.h"

#include <algorithm>

#include "device/restored.h"

namespace doppel::device {

namespace {

enum Register : uint64_t {
    kData,
    kInterruptEnable,
    kIdentification,
    kLineControl,
    kModemControl,
    kLineStatus,
    kModemStatus,
    kScratch
};

// IER
constexpr uint8_t kEnableReceived = 0x01;
constexpr uint8_t kEnableTransmitter = 0x02;
constexpr uint8_t kEnableLineStatus = 0x04;
constexpr uint8_t kEnableModemStatus = 0x08;
constexpr uint8_t kEnableAll = 0x0f;
// IIR
constexpr uint8_t kNoInterrupt = 0x01;
constexpr uint8_t kCauseModemStatus = 0x00;
constexpr uint8_t kCauseTransmitter = 0x02;
constexpr uint8_t kCauseReceived = 0x04;
constexpr uint8_t kCauseLineStatus = 0x06;
constexpr uint8_t kCauseTimeout = 0x0c;
constexpr uint8_t kFifosEnabled = 0xc0;
// FCR
constexpr uint8_t kFifoEnable = 0x01;
constexpr uint8_t kFifoClearReceiver = 0x02;
constexpr uint8_t kFifoTrigger = 0xc0;
// LCR
constexpr uint8_t kSetBreak = 0x40;
constexpr uint8_t kDivisorLatch = 0x80;
// MCR
constexpr uint8_t kDtr = 0x01;
constexpr uint8_t kRts = 0x02;
constexpr uint8_t kOut1 = 0x04;
constexpr uint8_t kOut2 = 0x08;
constexpr uint8_t kLoopback = 0x10;
constexpr uint8_t kModemControlAll = 0x1f;
// LSR
constexpr uint8_t kDataReady = 0x01;
constexpr uint8_t kOverrun = 0x02;
constexpr uint8_t kBreak = 0x10;
constexpr uint8_t kLineErrors = 0x1e;
constexpr uint8_t kCharacterErrors = 0x1c;
constexpr uint8_t kTransmitterEmpty = 0x60;  // THRE and TEMT
constexpr uint8_t kErrorInFifo = 0x80;
// MSR
constexpr uint8_t kModemDeltas = 0x0f;
constexpr uint8_t kCts = 0x10;
constexpr uint8_t kDsr = 0x20;
constexpr uint8_t kRing = 0x40;
constexpr uint8_t kDcd = 0x80;
constexpr uint8_t kTrailingEdgeOfRing = 0x04;

uint8_t trigger_level(uint8_t fifo_control) {
    constexpr std::array<uint8_t, 4> kLevels{1, 4, 8, 14};
    return kLevels[fifo_control >> 6];
}

}  // namespace

size_t Uart16550::capacity(const Registers& registers) {
    return (registers.fifo_control & kFifoEnable) != 0 ? kFifoSize : 1;
}

// In loopback the four modem outputs are wired to the inputs.
uint8_t Uart16550::modem_inputs(uint8_t modem_control) {
    if ((modem_control & kLoopback) == 0) return kCts | kDsr | kDcd;
    uint8_t inputs = 0;
    if ((modem_control & kRts) != 0) inputs |= kCts;
    if ((modem_control & kDtr) != 0) inputs |= kDsr;
    if ((modem_control & kOut1) != 0) inputs |= kRing;
    if ((modem_control & kOut2) != 0) inputs |= kDcd;
    return inputs;
}

bool Uart16550::in_loopback() const {
    return (registers_.modem_control & kLoopback) != 0;
}

bool Uart16550::has_room() const {
    return !in_loopback() && registers_.received < capacity(registers_);
}

// The enabled interrupt of the highest priority, as IIR shows it.
uint8_t Uart16550::cause() const {
    uint8_t enabled = registers_.interrupt_enable;
    if ((enabled & kEnableLineStatus) != 0 && registers_.line_errors != 0) return kCauseLineStatus;
    if ((enabled & kEnableReceived) != 0 && registers_.received != 0) {
        bool timeout = registers_.received < trigger_level(registers_.fifo_control);
        return timeout ? kCauseTimeout : kCauseReceived;
    }
    if ((enabled & kEnableTransmitter) != 0 && registers_.transmitter_interrupt) return kCauseTransmitter;
    if ((enabled & kEnableModemStatus) != 0 && registers_.modem_deltas != 0) return kCauseModemStatus;
    return kNoInterrupt;
}

uint64_t Uart16550::read(uint64_t offset, unsigned) {
    bool divisor = (registers_.line_control & kDivisorLatch) != 0;
    switch (offset) {
        case kData:
            return divisor ? registers_.divisor & 0xff : read_receiver();
        case kInterruptEnable:
            return divisor ? registers_.divisor >> 8 : registers_.interrupt_enable;
        case kIdentification:
            return read_interrupt_identification();
        case kLineControl:
            return registers_.line_control;
        case kModemControl:
            return registers_.modem_control;
        case kLineStatus:
            return read_line_status();
        case kModemStatus:
            return read_modem_status();
        case kScratch:
            return registers_.scratch;
        default:
            return 0;
    }
}

void Uart16550::write(uint64_t offset, unsigned, uint64_t value) {
    bool divisor = (registers_.line_control & kDivisorLatch) != 0;
    uint8_t byte = static_cast<uint8_t>(value);
    switch (offset) {
        case kData:
            if (!divisor) return write_transmitter(byte);
            registers_.divisor = static_cast<uint16_t>((registers_.divisor & 0xff00) | byte);
            return;
        case kInterruptEnable:
            if (!divisor) return write_interrupt_enable(byte);
            registers_.divisor = static_cast<uint16_t>((registers_.divisor & 0x00ff) | byte << 8);
            return;
        case kIdentification:
            return write_fifo_control(byte);
        case kLineControl:
            return write_line_control(byte);
        case kModemControl:
            return write_modem_control(byte);
        case kScratch:
            registers_.scratch = byte;
            return;
        default:
            return;  // LSR is for factory tests, MSR read-only
    }
}

uint8_t Uart16550::read_receiver() {
    uint8_t character = registers_.characters[0];
    if (registers_.received == 0) return character;
    auto drop_first = [](auto& list) { std::copy(list.begin() + 1, list.end(), list.begin()); };
    registers_.received--;
    // An empty receiver buffer keeps what was read from it.
    if (registers_.received != 0) {
        drop_first(registers_.characters);
        drop_first(registers_.errors);
        registers_.line_errors |= registers_.errors[0];
    } else {
        registers_.errors[0] = 0;
        tell_room();
    }
    update_line();
    return character;
}

uint8_t Uart16550::read_interrupt_identification() {
    uint8_t identification = cause();
    if (identification == kCauseTransmitter) {
        registers_.transmitter_interrupt = false;
        update_line();
    }
    if ((registers_.fifo_control & kFifoEnable) != 0) identification |= kFifosEnabled;
    return identification;
}

uint8_t Uart16550::read_line_status() {
    uint8_t status = kTransmitterEmpty | registers_.line_errors;
    if (registers_.received != 0) status |= kDataReady;
    bool has_errors = std::any_of(registers_.errors.begin(), registers_.errors.begin() + registers_.received,
                                  [](uint8_t errors) { return errors != 0; });
    if (has_errors && (registers_.fifo_control & kFifoEnable) != 0) status |= kErrorInFifo;
    registers_.line_errors = 0;
    registers_.errors[0] = 0;  // shown now
    update_line();
    return status;
}

uint8_t Uart16550::read_modem_status() {
    uint8_t status = modem_inputs(registers_.modem_control) | registers_.modem_deltas;
    registers_.modem_deltas = 0;
    update_line();
    return status;
}

void Uart16550::write_transmitter(uint8_t character) {
    bool breaking = (registers_.line_control & kSetBreak) != 0;  // the line is held low: nobody sees the character
    if (!breaking && in_loopback()) {
        loop_back(character, 0);
    } else if (!breaking && backend_ != nullptr) {
        backend_->write({&character, 1});
    }
    registers_.transmitter_interrupt = true;
    update_line();
}

void Uart16550::write_interrupt_enable(uint8_t value) {
    bool newly_enabled = (value & ~registers_.interrupt_enable & kEnableTransmitter) != 0;
    registers_.interrupt_enable = value & kEnableAll;
    if (newly_enabled) registers_.transmitter_interrupt = true;  // THR is always empty here
    update_line();
}

void Uart16550::write_fifo_control(uint8_t value) {
    bool changed = ((value ^ registers_.fifo_control) & kFifoEnable) != 0;
    // The other bits are programmed only together with the enable bit.
    bool enable = (value & kFifoEnable) != 0;
    registers_.fifo_control = enable ? value & (kFifoEnable | kFifoTrigger) : 0;
    if (changed || (enable && (value & kFifoClearReceiver) != 0)) clear_receiver();
    update_line();
}

void Uart16550::write_line_control(uint8_t value) {
    bool break_begins = (value & ~registers_.line_control & kSetBreak) != 0;
    registers_.line_control = value;
    if (break_begins && in_loopback()) loop_back(0, kBreak);
    update_line();
}

void Uart16550::write_modem_control(uint8_t value) {
    uint8_t before = modem_inputs(registers_.modem_control);
    registers_.modem_control = value & kModemControlAll;
    uint8_t after = modem_inputs(registers_.modem_control);
    uint8_t deltas = static_cast<uint8_t>((before ^ after) >> 4);
    if ((after & kRing) != 0) deltas &= static_cast<uint8_t>(~kTrailingEdgeOfRing);  // only its end is reported
    registers_.modem_deltas |= deltas;
    tell_room();
    update_line();
}

// There is room.
void Uart16550::take(uint8_t character, uint8_t errors) {
    registers_.characters[registers_.received] = character;
    registers_.errors[registers_.received] = errors;
    if (registers_.received == 0) registers_.line_errors |= errors;
    registers_.received++;
}

// Here alone characters can be lost: with the FIFO full the new one, without FIFO the old one.
void Uart16550::loop_back(uint8_t character, uint8_t errors) {
    if (registers_.received == capacity(registers_)) {
        registers_.line_errors |= kOverrun;
        if (registers_.received == kFifoSize) return;
        registers_.received = 0;
    }
    take(character, errors);
}

void Uart16550::clear_receiver() {
    registers_.received = 0;
    registers_.characters = {};
    registers_.errors = {};
    registers_.line_errors &= kOverrun;
    tell_room();
}

// Waits for the FIFO to run empty, so that a backend wakes once for sixteen characters and not for each.
void Uart16550::tell_room() {
    if (!refused_ || in_loopback() || registers_.received != 0) return;
    refused_ = false;
    if (backend_ != nullptr) backend_->room_again();
}

void Uart16550::update_line() {
    bool level = cause() != kNoInterrupt;
    if (level == raised_) return;
    raised_ = level;
    line_.set(level);
}

bool Uart16550::can_receive() {
    std::lock_guard guard(lock());
    if (!has_room()) refused_ = true;
    return has_room();
}

size_t Uart16550::receive(std::span<const uint8_t> bytes) {
    std::lock_guard guard(lock());
    size_t taken = 0;
    while (taken < bytes.size() && has_room()) take(bytes[taken++], 0);
    if (taken < bytes.size()) refused_ = true;
    update_line();
    return taken;
}

bool Uart16550::receive_break() {
    std::lock_guard guard(lock());
    if (!has_room()) {
        refused_ = true;
        return false;
    }
    take(0, kBreak);
    update_line();
    return true;
}

void Uart16550::reset() {
    registers_ = {};
    tell_room();
    raised_ = false;
    line_.set(false);
}

bool Uart16550::possible(const Registers& registers) {
    auto character_errors = [](uint8_t errors) { return (errors & ~kCharacterErrors) == 0; };
    return registers.received <= capacity(registers) && (registers.interrupt_enable & ~kEnableAll) == 0 &&
           (registers.fifo_control & ~(kFifoEnable | kFifoTrigger)) == 0 &&
           (registers.modem_control & ~kModemControlAll) == 0 && (registers.line_errors & ~kLineErrors) == 0 &&
           (registers.modem_deltas & ~kModemDeltas) == 0 &&
           std::all_of(registers.errors.begin(), registers.errors.end(), character_errors);
}

void Uart16550::save(StateWriter& writer) const {
    std::lock_guard guard(lock());
    Registers saved = registers_;
    saved.fields(writer);
}

Result<> Uart16550::restore(StateReader& reader) {
    Registers restored;
    restored.fields(reader);
    DOPPEL_CHECK(reader.finish("restore uart16550"));
    DOPPEL_CHECK(check_restored(possible(restored), name(), "its register state"));
    std::lock_guard guard(lock());
    registers_ = restored;
    raised_ = cause() != kNoInterrupt;
    line_.set(raised_);
    // The backend may hold input that the device refused before; from now on it may offer it.
    if (has_room() && backend_ != nullptr) backend_->room_again();
    refused_ = !has_room();
    return {};
}

}  // namespace doppel::device
