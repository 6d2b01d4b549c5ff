// Saving and restoring of PciTransport.
#include <linux/virtio_config.h>

#include <utility>

#include "device/virtio/pci_transport.h"

namespace doppel::device::virtio {

namespace {

enum Tag : uint16_t { kRegistersTag = 1, kDeviceTag = 2, kFirstQueueTag = 0x100 };

}  // namespace

void PciTransport::save_device(StateWriter& writer) const {
    Registers registers = registers_;
    writer.section(kRegistersTag, registers);
    StateWriter device;
    device_->save(device);
    writer.put_section(kDeviceTag, device);
    for (unsigned i = 0; i < queues_.size(); i++) {
        StateWriter queue;
        queues_[i]->save(queue);
        writer.put_section(static_cast<uint16_t>(kFirstQueueTag + i), queue);
    }
}

Result<> PciTransport::restore_device(StateReader& reader) {
    Registers registers;
    registers.queue_vectors = registers_.queue_vectors;
    reader.section(kRegistersTag, registers);
    StateReader device;
    reader.get_section(kDeviceTag, device);
    std::vector<Queue::State> queues;
    for (unsigned i = 0; i < queues_.size(); i++) {
        StateReader queue;
        reader.get_section(static_cast<uint16_t>(kFirstQueueTag + i), queue);
        DOPPEL_TRY(Queue::State state, queues_[i]->parse(queue));
        queues.push_back(std::move(state));
    }
    DOPPEL_CHECK(reader.finish(name()));

    bool negotiated = (registers.status & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
    bool ready = (registers.status & VIRTIO_CONFIG_S_DRIVER_OK) != 0;
    if ((negotiated && !acceptable(registers.driver_features)) || (ready && !negotiated) ||
        registers.queue_vectors.size() != queues_.size()) {
        return fail(Error{"restore", std::string(name()), "its features or queues are not those of this device",
                          "start the machine with the devices that it was saved with"});
    }
    DOPPEL_CHECK(device_->restore(device));

    registers_ = std::move(registers);
    registers_.config_vector = usable_vector(registers_.config_vector);
    for (uint16_t& vector : registers_.queue_vectors) vector = usable_vector(vector);
    for (unsigned i = 0; i < queues_.size(); i++) queues_[i]->adopt(queues[i]);
    std::fill(scheduled_.begin(), scheduled_.end(), false);
    return {};
}

// A notification may have been on its way when the state was saved, so every queue is looked at.
void PciTransport::restored() {
    if ((registers_.status & VIRTIO_CONFIG_S_DRIVER_OK) == 0) return;
    device_->activate(registers_.driver_features);
    start_queues();
    schedule_all();
}

}  // namespace doppel::device::virtio
