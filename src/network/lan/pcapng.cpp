#include "network/lan/pcapng.h"

#include <array>
#include <cstring>

namespace doppel::network::lan::pcapng {

namespace {

constexpr uint32_t kSectionHeader = 0x0a0d0d0a, kInterface = 1, kEnhancedPacket = 6, kMagic = 0x1a2b3c4d;
constexpr uint16_t kEthernet = 1;
constexpr uint16_t kName = 2, kResolution = 9, kFlags = 2;  // options of interfaces, and of packets
constexpr uint8_t kNanoseconds = 9;                         // powers of ten
constexpr uint32_t kInbound = 1, kOutbound = 2;

class Block {
  public:
    explicit Block(uint32_t type) {
        number(type);
        number<uint32_t>(0);
    }
    template <class T>
    void number(T value) {
        std::array<uint8_t, sizeof value> raw;
        std::memcpy(raw.data(), &value, sizeof value);
        bytes_.insert(bytes_.end(), raw.begin(), raw.end());
    }
    void padded(std::span<const uint8_t> bytes) {
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
        while (bytes_.size() % sizeof(uint32_t) != 0) bytes_.push_back(0);
    }
    void option(uint16_t code, std::span<const uint8_t> value) {
        number(code);
        number(static_cast<uint16_t>(value.size()));
        padded(value);
    }
    std::vector<uint8_t> end() {
        const auto length = static_cast<uint32_t>(bytes_.size() + sizeof(uint32_t));
        number(length);
        std::memcpy(&bytes_[sizeof(uint32_t)], &length, sizeof length);
        return std::move(bytes_);
    }

  private:
    std::vector<uint8_t> bytes_;
};

}  // namespace

std::vector<uint8_t> section_header() {
    Block block(kSectionHeader);
    block.number(kMagic);
    block.number<uint16_t>(1);
    block.number<uint16_t>(0);
    block.number<int64_t>(-1);
    return block.end();
}

std::vector<uint8_t> interface_description(std::string_view name) {
    Block block(kInterface);
    block.number(kEthernet);
    block.number<uint16_t>(0);
    block.number<uint32_t>(0);  // whole frames
    block.option(kName, {reinterpret_cast<const uint8_t*>(name.data()), name.size()});
    block.option(kResolution, {&kNanoseconds, 1});
    block.number<uint32_t>(0);  // the end of options
    return block.end();
}

std::vector<uint8_t> enhanced_packet(uint32_t interface, uint64_t time, bool out, std::span<const uint8_t> frame) {
    Block block(kEnhancedPacket);
    block.number(interface);
    block.number(static_cast<uint32_t>(time >> 32));
    block.number(static_cast<uint32_t>(time));
    block.number(static_cast<uint32_t>(frame.size()));
    block.number(static_cast<uint32_t>(frame.size()));
    block.padded(frame);
    const uint32_t flags = out ? kInbound : kOutbound;  // as the port's owner sees it
    block.option(kFlags, {reinterpret_cast<const uint8_t*>(&flags), sizeof flags});
    block.number<uint32_t>(0);
    return block.end();
}

}  // namespace doppel::network::lan::pcapng
