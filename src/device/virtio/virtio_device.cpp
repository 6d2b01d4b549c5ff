#include "device/virtio/virtio_device.h"

#include <utility>

namespace doppel::device::virtio {

std::optional<Chain> Transport::next(unsigned index) {
    Queue& from = queue(index);
    std::optional<Chain> chain = from.pop();
    if (!chain && from.resume_notifications()) chain = from.pop();
    return chain;
}

void Transport::drain(unsigned index, const std::function<uint64_t(Chain&)>& handle) {
    Queue& from = queue(index);
    uint32_t budget = from.rings().size;
    do {
        from.suppress_notifications();
        while (budget > 0) {
            std::optional<Chain> chain = from.pop();
            if (!chain) break;
            uint64_t written = handle(*chain);
            from.push(std::move(*chain), written);
            budget--;
        }
    } while (budget > 0 && from.resume_notifications());
    if (budget == 0) schedule(index);  // the driver was told not to notify, so look again ourselves
    complete(index);
}

}  // namespace doppel::device::virtio
