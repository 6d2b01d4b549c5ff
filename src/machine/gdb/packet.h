// The packets of the GDB remote serial protocol: $payload#checksum, acknowledgements and the interrupt character.
// Source: Debugging with GDB, appendix "GDB Remote Serial Protocol", "Overview".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace doppel::machine::gdb {

// Bytes of a packet as sent, the longest that is taken: what qSupported's PacketSize announces.
inline constexpr size_t kMaxPacket = 0x4000;

enum class Kind : uint8_t {
    kPacket,     // `payload`, unescaped
    kDamaged,    // a wrong checksum, or longer than kMaxPacket
    kAck,        // '+'
    kNak,        // '-'
    kInterrupt,  // Ctrl-C
};
struct Item {
    Kind kind;
    std::string payload;
};

// Cuts what a client sends into items; whatever stands between them is skipped. Holds kMaxPacket bytes at most.
class PacketReader {
  public:
    // Takes bytes from the front of `bytes` up to the end of the next item; nullopt when all are taken and none is
    // complete.
    std::optional<Item> next(std::string_view& bytes);

  private:
    enum class State : uint8_t { kBetween, kInside, kFirstDigit, kSecondDigit };
    std::optional<Item> take(char c);
    Item finish(char second_digit);

    State state_ = State::kBetween;
    bool too_long_ = false;
    char first_digit_ = 0;
    std::string raw_;
};

// `payload` (any bytes) as a packet: escaped, runs shortened, with its checksum.
std::string frame(std::string_view payload);

std::string to_hex(std::string_view bytes);
// nullopt unless it is pairs of hexadecimal digits.
std::optional<std::string> from_hex(std::string_view text);

// Reads a packet's parts from the front.
class Fields {
  public:
    explicit Fields(std::string_view text) : rest_(text) {}
    // 1 to 16 hexadecimal digits, the most significant first.
    std::optional<uint64_t> number();
    bool skip(char c);
    // Up to the next `c`, which is skipped, or to the end.
    std::string_view until(char c);
    bool at_end() const { return rest_.empty(); }
    std::string_view rest() const { return rest_; }

  private:
    std::string_view rest_;
};

}  // namespace doppel::machine::gdb
