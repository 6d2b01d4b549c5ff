// Disks that come and go while the guest runs. The harts stand still meanwhile, so that no access meets the change.
#include "machine/machine.h"

namespace doppel::machine {

namespace {

Error refused(const std::string& disk, std::string why, std::string cure = {}) {
    return {"change the disks", disk, std::move(why), std::move(cure)};
}

unsigned slot_of(size_t place) {
    return riscv64::slot::kDisk + static_cast<unsigned>(place);
}

}  // namespace

Result<> Machine::attach_disk(const std::string& text, std::vector<UniqueFd> descriptors) {
    DOPPEL_TRY(const DiskChoice choice, disk_from(text));
    if (debug_target_) return fail(refused(choice.path, "a debugger has the machine"));
    if (specification_.virtio != VirtioTransport::kPci)
        return fail(refused(choice.path, "the machine's devices are memory-mapped", "start it with --virtio pci"));
    if (descriptors.size() != 1) return fail(refused(choice.path, "its file did not come with the request"));
    DOPPEL_TRY(const size_t place, disks_->attach(choice, std::move(descriptors.front())));
    pauses_->begin(Pauses::Reason::kPlug);
    const auto plugged = board_->plug({slot_of(place), disks_->make_device(place, specification_.cpus)});
    pauses_->end(Pauses::Reason::kPlug);
    if (!plugged) {
        disks_->detach(place);
        return plugged;
    }
    slot_ = slot_of(place);
    return {};
}

Result<> Machine::find_disk(const std::string& text) {
    DOPPEL_TRY(const DiskChoice choice, disk_from(text));
    const auto place = disks_->find(choice);
    if (!place) return fail(refused(choice.path, "the machine has no such disk"));
    slot_ = slot_of(*place);
    return {};
}

Result<> Machine::detach_disk(const std::string& text) {
    DOPPEL_TRY(const DiskChoice choice, disk_from(text));
    if (debug_target_) return fail(refused(choice.path, "a debugger has the machine"));
    const auto place = disks_->find(choice);
    if (!place) return fail(refused(choice.path, "the machine has no such disk"));
    pauses_->begin(Pauses::Reason::kPlug);
    const auto unplugged = board_->unplug(slot_of(*place));
    pauses_->end(Pauses::Reason::kPlug);
    if (unplugged) disks_->detach(*place);
    return unplugged;
}

}  // namespace doppel::machine
