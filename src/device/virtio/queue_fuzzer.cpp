// A queue over memory that the input fills, with every chain that it yields used to the full.
#include "device/virtio/queue.h"

#include <utility>

#include "device/device_fuzzing.h"

namespace doppel::device::virtio {
namespace {

constexpr uint64_t kPages = 4;
constexpr uint64_t kRam = memory::kPageSize;
constexpr uint64_t kRamSize = kPages * memory::kPageSize;

// Bytes at an address of the input's choice, near the rings more often than not.
void scribble(memory::GuestMemory& memory, FuzzBytes& bytes) {
    uint64_t address = kRam + bytes.integer(2) % kRamSize;
    (void)memory.write(address, bytes.take(bytes.byte()));
}

void use(Queue& queue, std::vector<Chain>& held, FuzzBytes& bytes) {
    std::optional<Chain> chain = queue.pop();
    if (!chain) return;
    uint64_t total = 0;
    for (const Part& part : chain->readable()) total += part.length;
    fuzz_require(total == chain->readable_bytes());
    std::vector<uint8_t> data(std::min<uint64_t>(total, 3 * memory::kPageSize));
    fuzz_require(chain->read(total - data.size(), data));
    fuzz_require(!chain->read(total + 1, std::span(data).first(0)));
    std::vector<uint8_t> zeros(std::min<uint64_t>(chain->writable_bytes(), 64));
    fuzz_require(chain->write(chain->writable_bytes() - zeros.size(), zeros));
    if ((bytes.byte() & 1) != 0) {
        held.push_back(std::move(*chain));
    } else {
        queue.push(std::move(*chain), bytes.integer(2));
    }
}

// Sets the queue up anew; rings may lie anywhere.
void restart(Queue& queue, FuzzBytes& bytes) {
    queue.reset();
    uint8_t how = bytes.byte();
    Queue::Rings rings = {static_cast<uint16_t>(1 << (how & 7)), kRam, kRam + 0x800, kRam + 0xc00};
    if ((how & 8) != 0)
        rings = {static_cast<uint16_t>(bytes.integer(2)), bytes.integer(8), bytes.integer(8), bytes.integer(8)};
    queue.set_rings(rings);
    if ((how & 0x40) == 0) queue.enable();
    queue.start((how & 0x10) != 0, (how & 0x20) != 0);
}

void save_and_restore(Queue& queue) {
    StateWriter writer;
    queue.save(writer);
    std::vector<uint8_t> document = writer.finish();
    auto reader = StateReader::parse(document);
    fuzz_require(reader.has_value());
    auto state = queue.parse(*reader);
    fuzz_require(state.has_value());
    queue.adopt(*state);
    queue.start(true, true);
}

}  // namespace
}  // namespace doppel::device::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel::device;
    using namespace doppel::device::virtio;
    FuzzBytes bytes(data, size);
    doppel::memory::GuestMemory memory;
    if (!memory.add_region(kRam, kRamSize)) return 0;
    Queue queue(memory, 64);
    std::vector<Chain> held;
    restart(queue, bytes);
    scribble(memory, bytes);
    while (!bytes.empty()) {
        switch (bytes.byte() & 7) {
            case 0:
                restart(queue, bytes);
                break;
            case 1:
                save_and_restore(queue);
                break;
            case 2:
                queue.suppress_notifications();
                (void)queue.resume_notifications();
                (void)queue.take_notification();
                break;
            case 3:
                if (!held.empty()) {
                    queue.push(std::move(held.back()), bytes.integer(2));
                    held.pop_back();
                }
                break;
            case 4:
            case 5:
                scribble(memory, bytes);
                break;
            default:
                use(queue, held, bytes);
        }
    }
    return 0;
}
