// For tests of the transports: a machine with an echo device in one slot, its driver, and requests of four letters.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "device/virtio/echo_device.h"
#include "device/virtio/fake_driver.h"

namespace doppel::device::virtio {

inline constexpr uint64_t kEchoData = kFakeRam + 0x40000;  // the letters, 16 bytes a descriptor

struct EchoFixture {
    EchoFixture(unsigned slot, FakeTransport transport, MsiSink* messages = nullptr)
        : machine(messages, transport), driver(machine, slot) {
        auto device = std::make_unique<EchoDevice>();
        echo = device.get();
        machine.add(slot, std::move(device));
    }
    void start(uint64_t features = 0, uint16_t size = 16) {
        auto started = driver.start(features, size);
        ASSERT_TRUE(machine.mapped && started.has_value());
        ring = *started;
    }
    // From descriptor `head` on; without a kick.
    void submit(uint16_t head, uint32_t letters = 0x64636261) {
        machine.put<uint32_t>(kEchoData + head * 16, letters);
        driver.submit(ring, head, {{kEchoData + head * 16u, 4}, {kEchoData + head * 16u + 8, 4, kWrite}});
    }
    uint32_t answer(uint16_t head) { return machine.get<uint32_t>(kEchoData + head * 16 + 8); }

    FakeMachine machine;
    FakeDriver driver;
    EchoDevice* echo;
    FakeDriver::Ring ring;
};

}  // namespace doppel::device::virtio
