// The libFuzzer frame of every virtio device: the whole PCI function behind its host, under configuration and BAR
// accesses, ring memory, resets and saved states of the input. A device's fuzzer is one call of fuzz_virtio_device.
#pragma once

#include <zlib.h>

#include <memory>
#include <utility>

#include "device/device_fuzzing.h"
#include "device/virtio/fake_driver.h"

namespace doppel::device::virtio {

inline constexpr uint64_t kRings = 0x30000;  // what FakeDriver's rings take of memory

// Takes any message; an address is never dereferenced.
class DroppedMessages final : public MsiSink {
  public:
    void send(uint64_t address, uint32_t data) override { last = address ^ data; }
    uint64_t last = 0;
};

class FuzzedFunction {
  public:
    FuzzedFunction(std::unique_ptr<VirtioDevice> device, bool with_messages)
        : machine_(with_messages ? &messages_ : nullptr), driver_(machine_, kSlot) {
        machine_.add(kSlot, std::move(device));
        fuzz_require(machine_.mapped);
    }

    void run(FuzzBytes& bytes) {
        // From the state that a driver leaves behind, so that short inputs reach the queue.
        if ((bytes.byte() & 1) != 0) {
            auto ring = driver_.start(kIndirectFeature | (bytes.byte() & 1 ? kEventIndexFeature : 0), 16);
            fuzz_require(ring.has_value());
            ring_ = *ring;
        }
        while (!bytes.empty()) step(bytes);
        machine_.loop->run_ready();
    }

  private:
    static constexpr unsigned kSlot = 1;

    void step(FuzzBytes& bytes) {
        uint8_t action = bytes.byte();
        unsigned width = 1u << (action >> 6);
        switch (action & 15) {
            case 0:
            case 1:
                access(pci::kTestEcam + (uint64_t{kSlot} << 15) + bytes.integer(2) % 0x100 / width * width, width,
                       action, bytes);
                break;
            case 2:
                access(pci::kTestEcam + bytes.integer(3) % (2 << 20) / width * width, width, action, bytes);
                break;
            case 3:
            case 4:
            case 5:
                access(FakeDriver::kRegisters + bytes.integer(2) % 0x4000 / width * width, width, action, bytes);
                break;
            case 6:
                access(FakeDriver::kVectors + bytes.integer(1) / width * width, width, action, bytes);
                break;
            case 7:
                access(
                    pci::kTestLayout.window32_base + bytes.integer(4) % pci::kTestLayout.window32_size / width * width,
                    width, action, bytes);
                break;
            case 8:
                (void)machine_.memory.write(kFakeRam + bytes.integer(3) % kRings, bytes.take(bytes.byte()));
                break;
            case 9:
                describe(bytes);
                break;
            case 10:
                if (ring_.size != 0) driver_.offer(ring_, bytes.byte() % 32);
                break;
            case 11:
                if (ring_.size != 0) driver_.kick(ring_);
                break;
            case 12:
                if (action == 12) machine_.pci.reset();
                if (action == 12 + 0x40) driver_.start(kIndirectFeature, 16);
                break;
            case 13:
                save_and_restore(bytes);
                break;
            default:
                machine_.loop->run_ready();
        }
    }

    void access(uint64_t address, unsigned width, uint8_t action, FuzzBytes& bytes) {
        if ((action & 0x20) != 0) {
            (void)machine_.pci.write(address, width, bytes.integer(width));
        } else {
            uint64_t value = machine_.pci.bus.read(address, width).value_or(0);
            fuzz_require(width == 8 || value >> (8 * width) == 0);
        }
    }

    void describe(FuzzBytes& bytes) {
        if (ring_.size == 0) return;
        uint16_t index = bytes.byte() % 16;
        FakeDriver::Descriptor descriptor{kFakeRam + bytes.integer(3), static_cast<uint32_t>(bytes.integer(3))};
        descriptor.flags = static_cast<uint16_t>(bytes.byte() & 7);
        descriptor.next = bytes.byte() % 32;
        driver_.describe(ring_.descriptors, index, descriptor);
    }

    // What was saved restores to the same; an altered state may be refused, and then nothing has changed.
    void save_and_restore(FuzzBytes& bytes) {
        pci::Host& host = machine_.pci.host;
        fuzz_require(restore(host, saved(host)).has_value());
        std::vector<uint8_t> settled = saved(host);
        fuzz_require(restore(host, settled).has_value());
        fuzz_require(saved(host) == settled);

        constexpr size_t kHeader = 12, kChecksum = 8;
        std::vector<uint8_t> altered = settled;
        for (unsigned i = bytes.byte() % 8; i > 0; i--)
            altered[kHeader + bytes.integer(2) % (altered.size() - kHeader)] = bytes.byte();
        uint32_t sum = static_cast<uint32_t>(
            ::crc32(0, altered.data() + kHeader, static_cast<unsigned>(altered.size() - kHeader)));
        store_le(&altered[kChecksum], sum);
        if (!restore(host, altered)) fuzz_require(saved(host) == settled);
    }

    DroppedMessages messages_;
    FakeMachine machine_;
    FakeDriver driver_;
    FakeDriver::Ring ring_;
};

// `make` builds the device under test, the same one each time: its answers must depend on the input alone.
template <class Make>
void fuzz_virtio_device(const uint8_t* data, size_t size, Make make) {
    FuzzBytes bytes(data, size);
    bool with_messages = (bytes.byte() & 1) != 0;
    FuzzedFunction(make(), with_messages).run(bytes);
}

}  // namespace doppel::device::virtio
