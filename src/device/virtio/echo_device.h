// A device for tests of the transports.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "device/virtio/virtio_device.h"

namespace doppel::device::virtio {

inline constexpr uint64_t kOwnFeature = 1 << 3;  // of the echo's

// Copies what it reads to what it writes, upper case; can hold chains back; has six bytes of configuration.
class EchoDevice final : public VirtioDevice {
  public:
    std::string_view name() const override { return "echo"; }
    uint16_t id() const override { return 42; }
    uint32_t pci_class() const override { return 0x00ff00; }
    uint64_t features() const override { return kOwnFeature; }
    std::span<const uint16_t> queue_sizes() const override { return kSizes; }
    uint32_t config_size() const override { return static_cast<uint32_t>(config_.size()); }
    void read_config(uint32_t offset, std::span<uint8_t> to) override {
        std::copy_n(config_.begin() + offset, to.size(), to.begin());
    }
    void write_config(uint32_t offset, std::span<const uint8_t> from) override {
        std::copy(from.begin(), from.end(), config_.begin() + offset);
    }
    void activate(uint64_t features) override { active_features = features; }
    void notify(unsigned queue) override {
        notified++;
        transport().drain(queue, [&](Chain& chain) {
            if (before) before();
            return echo(chain);
        });
    }
    // The other way: chains stay out until `finish`.
    void hold(unsigned queue) {
        std::lock_guard guard(transport().device_lock());
        while (auto chain = transport().queue(queue).pop()) held.push_back(std::move(*chain));
    }
    void finish(unsigned queue) {
        std::lock_guard guard(transport().device_lock());
        for (Chain& chain : held) {
            uint64_t written = echo(chain);
            transport().queue(queue).push(std::move(chain), written);
        }
        held.clear();
        transport().complete(queue);
    }
    void change_config(uint8_t value) {
        std::lock_guard guard(transport().device_lock());
        config_[0] = value;
        transport().config_changed();
    }
    void reset() override { resets++; }
    void save(StateWriter& writer) const override { writer.field(1, config_); }
    Result<> restore(StateReader& reader) override {
        auto config = config_;
        reader.field(1, config);
        DOPPEL_CHECK(reader.finish("restore echo"));
        config_ = config;
        return {};
    }

    uint64_t active_features = 0;
    int notified = 0;
    int resets = 0;
    std::vector<Chain> held;
    std::function<void()> before;

  private:
    static constexpr std::array<uint16_t, 2> kSizes = {16, 8};
    static uint64_t echo(Chain& chain) {
        std::vector<uint8_t> bytes(std::min(chain.readable_bytes(), chain.writable_bytes()));
        if (!chain.read(0, bytes)) return 0;
        for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(byte & ~0x20);
        return chain.write(0, bytes) ? bytes.size() : 0;
    }
    std::array<uint8_t, 6> config_ = {1, 2, 3, 4, 5, 6};
};

}  // namespace doppel::device::virtio
