// The slow paths of loads, stores and atomics: TLB misses, page crossings, devices.
#include <cstring>
#include <optional>

#include "base/byte_order.h"
#include "cpu/interpret/dispatch.h"
#include "cpu/interpret/runner.h"

namespace doppel::cpu::interpret {

using isa::riscv::Access;
using isa::riscv::Translation;

Translation Runner::translate_data(uint64_t va, unsigned bytes, Access access) {
    Translation found = isa::riscv::translate(hart_, memory_, va, bytes, access, data_mode_);
    if (!found.ok) return found;
    if (traces_memory_) [[unlikely]]
        note_traced_physical(found.physical);
    uint64_t page = found.physical & kPageMask;
    const memory::Region* region = memory_.find(page, isa::riscv::kPageBytes);
    if (region == nullptr) return found;
    if (access == Access::kStore) {
        if (!region->writable) return Translation::fault(isa::riscv::cause::kStoreAccess);
        memory::GuestMemory::mark_dirty(*region, page, 1);
    }
    if (!isa::riscv::pmp_uniform(hart_, page) || !may_keep(found, data_is_shared_)) return found;
    if (access == Access::kStore && memory::GuestMemory::holds_code(*region, page)) {
        if (native_ != nullptr) native_->note_code_write(page);
        return found;
    }
    if (traces_memory_ || (points_ != nullptr && points_->watches_page(va))) [[unlikely]]
        return found;
    note_large_page(va, found.span);
    counts_.data_tlb_fills++;
    data_tlb_->note_miss();
    TlbEntry& entry = data_tlb_->slot(va);
    uint64_t tag = va & kPageMask;
    uint64_t offset = reinterpret_cast<uint64_t>(region->host + (page - region->base)) - tag;
    // The guest may have changed the mapping without a fence yet: what the old one permitted does not hold for the new.
    if (entry.read_tag != tag || entry.offset != offset) entry.read_tag = kNoPage;
    if (entry.write_tag != tag || entry.offset != offset) entry.write_tag = kNoPage;
    entry.offset = offset;
    entry.physical = page;
    (access == Access::kStore ? entry.write_tag : entry.read_tag) = tag;
    data_tlbs_.keep(data_space_, data_tlb_mode_, va, entry);
    return found;
}

namespace {

// Naturally aligned ones are single accesses, as other harts may look on.
std::optional<uint64_t> read_memory(const memory::GuestMemory& memory, uint64_t physical, unsigned bytes) {
    switch (bytes) {
        case 1:
            return memory.load<uint8_t>(physical);
        case 2:
            return memory.load<uint16_t>(physical);
        case 4:
            return memory.load<uint32_t>(physical);
        default:
            return memory.load<uint64_t>(physical);
    }
}

bool write_memory(memory::GuestMemory& memory, uint64_t physical, unsigned bytes, uint64_t value) {
    switch (bytes) {
        case 1:
            return memory.store(physical, static_cast<uint8_t>(value));
        case 2:
            return memory.store(physical, static_cast<uint16_t>(value));
        case 4:
            return memory.store(physical, static_cast<uint32_t>(value));
        default:
            return memory.store(physical, value);
    }
}

// Where the second page begins for an access that crosses into it.
uint64_t second_page(uint64_t va, unsigned bytes) {
    return (va + bytes - 1) & kPageMask;
}

bool crosses_page(uint64_t va, unsigned bytes) {
    return ((va ^ (va + bytes - 1)) & kPageMask) != 0;
}

}  // namespace

bool Runner::load_slow(const Op* op, uint64_t va, unsigned bytes, uint64_t& value) {
    if (watched(op, va, bytes, Access::kLoad)) [[unlikely]]
        return false;
    if (traces_memory_) [[unlikely]]
        return load_traced(op, va, bytes, value);
    return load_uncached(op, va, bytes, value);
}

bool Runner::load_uncached(const Op* op, uint64_t va, unsigned bytes, uint64_t& value) {
    if (crosses_page(va, bytes)) return load_crossing(op, va, bytes, value);
    Translation found = translate_data(va, bytes, Access::kLoad);
    if (!found.ok) return trap(op, found.cause, va), false;
    auto answer = read_memory(memory_, found.physical, bytes);
    if (!answer) answer = bus_.read(found.physical, bytes);
    if (!answer) return trap(op, isa::riscv::cause::kLoadAccess, va), false;
    value = *answer;
    return true;
}

bool Runner::load_crossing(const Op* op, uint64_t va, unsigned bytes, uint64_t& value) {
    uint64_t second = second_page(va, bytes);
    size_t first_bytes = second - va;
    uint8_t raw[8] = {};
    const uint8_t* host = memory_part(op, va, static_cast<unsigned>(first_bytes), Access::kLoad).host;
    if (host == nullptr) return false;
    std::memcpy(raw, host, first_bytes);
    host = memory_part(op, second, static_cast<unsigned>(bytes - first_bytes), Access::kLoad).host;
    if (host == nullptr) return false;
    std::memcpy(raw + first_bytes, host, bytes - first_bytes);
    value = load_le<uint64_t>(raw);
    return true;
}

bool Runner::store_slow(const Op* op, uint64_t va, unsigned bytes, uint64_t value) {
    if (watched(op, va, bytes, Access::kStore)) [[unlikely]]
        return false;
    if (traces_memory_) [[unlikely]]
        return store_traced(op, va, bytes, value);
    return store_uncached(op, va, bytes, value);
}

bool Runner::store_uncached(const Op* op, uint64_t va, unsigned bytes, uint64_t value) {
    if (crosses_page(va, bytes)) return store_crossing(op, va, bytes, value);
    Translation found = translate_data(va, bytes, Access::kStore);
    if (!found.ok) return trap(op, found.cause, va), false;
    if (write_memory(memory_, found.physical, bytes, value)) return true;
    uint64_t narrowed = bytes == 8 ? value : value & ((uint64_t{1} << (8 * bytes)) - 1);
    if (bus_.write(found.physical, bytes, narrowed)) return true;
    return trap(op, isa::riscv::cause::kStoreAccess, va), false;
}

bool Runner::store_crossing(const Op* op, uint64_t va, unsigned bytes, uint64_t value) {
    // Both pages are checked before a byte is written.
    uint64_t second = second_page(va, bytes);
    size_t first_bytes = second - va;
    MemoryPart low = memory_part(op, va, static_cast<unsigned>(first_bytes), Access::kStore);
    if (low.host == nullptr) return false;
    MemoryPart high = memory_part(op, second, static_cast<unsigned>(bytes - first_bytes), Access::kStore);
    if (high.host == nullptr) return false;
    uint8_t raw[8];
    store_le<uint64_t>(raw, value);
    std::memcpy(low.host, raw, low.bytes);
    std::memcpy(high.host, raw + low.bytes, high.bytes);
    low.note_written();
    high.note_written();
    return true;
}

Runner::MemoryPart Runner::memory_part(const Op* op, uint64_t va, unsigned bytes, Access access) {
    Translation found = translate_data(va, bytes, access);
    const memory::Region* region = !found.ok                 ? nullptr
                                   : access == Access::kLoad ? memory_.find_readable(found.physical, bytes)
                                                             : memory_.find(found.physical, bytes);
    if (region == nullptr) {
        trap(op, found.ok ? isa::riscv::access_fault(access) : found.cause, va);
        return {};
    }
    return {region->host + (found.physical - region->base), region, found.physical, bytes};
}

uint8_t* Runner::atomic_slow(const Op* op, uint64_t va, unsigned bytes, Access access) {
    if (va % bytes != 0) {
        trap(op, access == Access::kLoad ? isa::riscv::cause::kLoadMisaligned : isa::riscv::cause::kStoreMisaligned,
             va);
        return nullptr;
    }
    bool modifies = access == Access::kStore;
    if (watched(op, va, bytes, access) || (modifies && watched(op, va, bytes, Access::kLoad))) [[unlikely]]
        return nullptr;
    MemoryPart part = memory_part(op, va, bytes, access);
    if (traces_memory_ && part.host != nullptr) [[unlikely]]
        note_traced_atomic(va, part);
    if (modifies) slow_atomic_ = part;
    return part.host;
}

}  // namespace doppel::cpu::interpret
