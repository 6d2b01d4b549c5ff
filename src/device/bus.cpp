#include "device/bus.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <string>

namespace doppel::device {

namespace {

bool is_width(unsigned bytes) {
    return bytes <= 8 && std::has_single_bit(bytes);
}

std::string describe(uint64_t base, uint64_t size, const Device& device) {
    return fmt::format("{} at {:#x} (size {:#x})", device.name(), base, size);
}

}  // namespace

Result<> Bus::map(uint64_t base, uint64_t size, Device& device, Widths widths) {
    auto refuse = [&](std::string why) {
        return fail(Error{"map device", describe(base, size, device), std::move(why), "choose another range"});
    };
    if (size == 0) return refuse("the range is empty");
    if (size - 1 > std::numeric_limits<uint64_t>::max() - base) return refuse("the range ends beyond 2^64");
    if (!is_width(widths.min) || !is_width(widths.max) || widths.min > widths.max) {
        return refuse(fmt::format("accesses of {} to {} bytes are no widths", widths.min, widths.max));
    }
    auto next = std::upper_bound(mappings_.begin(), mappings_.end(), base,
                                 [](uint64_t address, const Mapping& mapping) { return address < mapping.base; });
    auto overlap = [&](const Mapping& other) {
        return refuse("it overlaps " + describe(other.base, other.size, *other.device));
    };
    if (next != mappings_.end() && next->base - base < size) return overlap(*next);
    if (next != mappings_.begin() && base - std::prev(next)->base < std::prev(next)->size)
        return overlap(*std::prev(next));
    mappings_.insert(next, Mapping{base, size, &device, widths});
    return {};
}

std::optional<uint64_t> Bus::read(uint64_t address, unsigned bytes) const {
    const Mapping* mapping = find(address, bytes);
    if (mapping == nullptr) return std::nullopt;
    std::lock_guard guard(mapping->device->lock());
    return mapping->device->read(address - mapping->base, bytes);
}

bool Bus::write(uint64_t address, unsigned bytes, uint64_t value) const {
    const Mapping* mapping = find(address, bytes);
    if (mapping == nullptr) return false;
    std::lock_guard guard(mapping->device->lock());
    mapping->device->write(address - mapping->base, bytes, value);
    return true;
}

const Bus::Mapping* Bus::find(uint64_t address, unsigned bytes) const {
    if (!is_width(bytes) || (address & (bytes - 1)) != 0) return nullptr;
    auto next = std::upper_bound(mappings_.begin(), mappings_.end(), address,
                                 [](uint64_t wanted, const Mapping& mapping) { return wanted < mapping.base; });
    if (next == mappings_.begin()) return nullptr;
    const Mapping& mapping = *std::prev(next);
    uint64_t offset = address - mapping.base;
    if (offset >= mapping.size || bytes > mapping.size - offset) return nullptr;
    if (bytes < mapping.widths.min || bytes > mapping.widths.max) return nullptr;
    return &mapping;
}

}  // namespace doppel::device
