// 16550A UART (ns16550a). Source: National Semiconductor PC16550D data sheet, "Registers", "FIFO Interrupt Mode
// Operation".
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/saved_state.h"
#include "device/character.h"
#include "device/device.h"
#include "device/interrupt.h"

namespace doppel::device {

// Eight one-byte registers, register shift 0. An access of 2, 4 or 8 bytes is one to the register at its offset,
// zero-extended. The line has no speed: what is written is sent at once, and the four character times after which fewer
// characters than the trigger level raise the character timeout interrupt are none at all; both are what a driver sees
// on an infinitely fast line, and need no clock. The modem inputs say that the other side is there (CTS, DSR, DCD).
// Input is refused, never dropped, while the receive FIFO is full or in loopback. save() and restore() take the lock.
class Uart16550 final : public Device, public CharacterDevice, public Saved {
  public:
    static constexpr uint64_t kSize = 0x100;
    static constexpr size_t kFifoSize = 16;

    explicit Uart16550(InterruptLine line) : line_(line) {}

    // Before the machine runs; the backend must outlive the device. Without one, output goes nowhere.
    void attach(CharacterBackend& backend) { backend_ = &backend; }

    std::string_view name() const override { return "uart16550"; }
    uint64_t read(uint64_t offset, unsigned bytes) override;
    void write(uint64_t offset, unsigned bytes, uint64_t value) override;
    void reset() override;

    bool can_receive() override;
    size_t receive(std::span<const uint8_t> bytes) override;
    bool receive_break() override;

    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    // What is not here follows from it: LSR's DR, THRE and TEMT, MSR's upper half, IIR.
    struct Registers {
        uint16_t divisor = 12;  // 9600 baud of a 1.8432 MHz clock
        uint8_t interrupt_enable = 0;
        uint8_t fifo_control = 0;  // enable and trigger level
        uint8_t line_control = 0;
        uint8_t modem_control = 0;
        uint8_t line_errors = 0;   // LSR's OE, PE, FE and BI
        uint8_t modem_deltas = 0;  // MSR's lower half
        uint8_t scratch = 0;
        bool transmitter_interrupt = false;  // THR has run empty and neither IIR was read nor THR written since
        uint8_t received = 0;                // how many of the following hold input, oldest first
        std::array<uint8_t, kFifoSize> characters{};
        std::array<uint8_t, kFifoSize> errors{};  // LSR bits that show when the character comes to the front

        template <class V>
        void fields(V& v) {
            v.field(1, divisor);
            v.field(2, interrupt_enable);
            v.field(3, fifo_control);
            v.field(4, line_control);
            v.field(5, modem_control);
            v.field(6, line_errors);
            v.field(7, modem_deltas);
            v.field(8, scratch);
            v.field(9, transmitter_interrupt);
            v.field(10, received);
            v.field(11, characters);
            v.field(12, errors);
        }
    };

    static size_t capacity(const Registers& registers);
    static uint8_t modem_inputs(uint8_t modem_control);
    static bool possible(const Registers& registers);
    bool in_loopback() const;
    bool has_room() const;
    uint8_t cause() const;

    uint8_t read_receiver();
    uint8_t read_interrupt_identification();
    uint8_t read_line_status();
    uint8_t read_modem_status();
    void write_transmitter(uint8_t character);
    void write_interrupt_enable(uint8_t value);
    void write_fifo_control(uint8_t value);
    void write_line_control(uint8_t value);
    void write_modem_control(uint8_t value);

    void take(uint8_t character, uint8_t errors);
    void loop_back(uint8_t character, uint8_t errors);
    void clear_receiver();
    void tell_room();
    void update_line();

    const InterruptLine line_;
    CharacterBackend* backend_ = nullptr;
    Registers registers_;
    bool refused_ = false;  // the backend waits for room_again()
    bool raised_ = false;   // the level last given to the line
};

}  // namespace doppel::device
