// The libFuzzer frame of every virtio device: the whole PCI function behind its host, under configuration and BAR
// accesses, memory of all its rings, resets and saved states of the input. A device's fuzzer is one call of
// fuzz_virtio_device.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "device/device_fuzzing.h"
#include "device/virtio/fake_driver.h"

namespace doppel::device::virtio {

inline constexpr uint64_t kRings = 0x30000;  // what a ring of FakeDriver takes of memory

// Takes any message; an address is never dereferenced.
class DroppedMessages final : public MsiSink {
  public:
    void send(uint64_t address, uint32_t data) override { last = address ^ data; }
    uint64_t last = 0;
};

class FuzzedFunction {
  public:
    // What reaches the device from the host's side.
    using Outside = std::function<void(FuzzBytes&)>;

    explicit FuzzedFunction(bool with_messages)
        : machine_(with_messages ? &messages_ : nullptr), driver_(machine_, kSlot) {}
    void add(std::unique_ptr<VirtioDevice> device, Outside outside) {
        machine_.add(kSlot, std::move(device));
        fuzz_require(machine_.mapped);
        outside_ = std::move(outside);
    }
    memory::GuestMemory& memory() { return machine_.memory; }

    void run(FuzzBytes& bytes) {
        // From the state that a driver leaves behind, so that short inputs reach the queues.
        if ((bytes.byte() & 1) != 0) start((bytes.byte() & 1) != 0 ? kEventIndexFeature : 0);
        while (!bytes.empty()) step(bytes);
        machine_.loop->run_ready();
    }

  private:
    static constexpr unsigned kSlot = 1;

    static constexpr uint16_t kMaxRings = 16;  // as many as kFakeRam has room for

    // With all that the device offers: a driver that leaves features out is what the input makes of the registers.
    void start(uint64_t ring_features) {
        fuzz_require(driver_.discover());
        const uint64_t own = driver_.offered_features() & ~(kIndirectFeature | kEventIndexFeature);
        fuzz_require(driver_.negotiate(own | kIndirectFeature | ring_features));
        rings_.clear();
        const auto queues = static_cast<uint16_t>(driver_.read(VIRTIO_PCI_COMMON_NUMQ, 2));
        for (uint16_t i = 0; i < std::min(queues, kMaxRings); i++) {
            rings_.push_back(driver_.set_up_queue(i, 16, kFakeRam + i * kRings));
        }
        driver_.ready();
    }
    FakeDriver::Ring& ring(uint8_t choice) { return rings_[choice % rings_.size()]; }

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
                (void)machine_.memory.write(kFakeRam + bytes.integer(3) % kFakeRamSize, bytes.take(bytes.byte()));
                break;
            case 9:
                describe(bytes);
                break;
            case 10:
                if (!rings_.empty()) offer(bytes.byte());
                break;
            case 11:
                if (!rings_.empty()) driver_.kick(ring(bytes.byte()));
                break;
            case 12:
                if (action == 12) machine_.pci.reset();
                if (action == 12 + 0x40) start(0);
                break;
            case 13:
                save_and_restore(bytes);
                break;
            case 14:
                if (outside_) outside_(bytes);
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

    void offer(uint8_t choice) { driver_.offer(ring(choice >> 5), choice % 32); }

    void describe(FuzzBytes& bytes) {
        if (rings_.empty()) return;
        const FakeDriver::Ring& of = ring(bytes.byte());
        uint16_t index = bytes.byte() % 16;
        FakeDriver::Descriptor descriptor{kFakeRam + bytes.integer(3), static_cast<uint32_t>(bytes.integer(3))};
        descriptor.flags = static_cast<uint16_t>(bytes.byte() & 7);
        descriptor.next = bytes.byte() % 32;
        driver_.describe(of.descriptors, index, descriptor);
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
    std::vector<FakeDriver::Ring> rings_;
    Outside outside_;
};

// `make` builds the device under test, the same one each time: its answers must depend on the input alone. It may ask
// for the guest's memory, and may return a pair: the device, and what reaches it from outside
// (FuzzedFunction::Outside). `finish` lets what still uses guest memory end, while the machine is there.
template <class Make, class Finish>
void fuzz_virtio_device(const uint8_t* data, size_t size, Make make, Finish finish) {
    FuzzBytes bytes(data, size);
    bool with_messages = (bytes.byte() & 1) != 0;
    FuzzedFunction function(with_messages);
    auto made = [&] {
        if constexpr (std::is_invocable_v<Make, memory::GuestMemory&>) {
            return make(function.memory());
        } else {
            return make();
        }
    }();
    if constexpr (requires { made.second; }) {
        function.add(std::move(made.first), std::move(made.second));
    } else {
        function.add(std::move(made), {});
    }
    function.run(bytes);
    finish();
}

template <class Make>
void fuzz_virtio_device(const uint8_t* data, size_t size, Make make) {
    fuzz_virtio_device(data, size, make, [] {});
}

}  // namespace doppel::device::virtio
