#include "device/pci/msix.h"

#include <linux/pci_regs.h>

#include <algorithm>
#include <bit>

namespace doppel::device::pci {

namespace {

constexpr unsigned kWordsPerVector = PCI_MSIX_ENTRY_SIZE / 4;
constexpr unsigned kControlWord = PCI_MSIX_ENTRY_VECTOR_CTRL / 4;
constexpr uint64_t kPageSize = 4096;

}  // namespace

Msix::Msix(MsiSink& sink, unsigned vectors) : sink_(sink), vectors_(vectors) {
    reset();
}

uint64_t Msix::bar_size() const {
    return std::bit_ceil(std::max(kPageSize, pba_offset() + state_.pending.size() * 8));
}

void Msix::reset() {
    state_.table.assign(size_t{vectors_} * kWordsPerVector, 0);
    for (unsigned i = 0; i < vectors_; i++)
        state_.table[i * kWordsPerVector + kControlWord] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
    state_.pending.assign((vectors_ + 63) / 64, 0);
    enabled_ = false;
    gate_open_ = false;
}

uint32_t Msix::read_word(uint64_t offset) const {
    if (offset < pba_offset()) return state_.table[offset / 4];
    uint64_t word = (offset - pba_offset()) / 4;
    if (word / 2 >= state_.pending.size()) return 0;
    return static_cast<uint32_t>(state_.pending[word / 2] >> (32 * (word % 2)));
}

uint64_t Msix::read(uint64_t offset, unsigned bytes) const {
    if (offset % 4 != 0 || (bytes != 4 && bytes != 8)) return 0;
    uint64_t value = read_word(offset);
    if (bytes == 8) value |= static_cast<uint64_t>(read_word(offset + 4)) << 32;
    return value;
}

void Msix::write_word(uint64_t offset, uint32_t value) {
    if (offset >= pba_offset()) return;  // the pending bits are read-only
    size_t word = offset / 4;
    switch (word % kWordsPerVector) {
        case 0:
            value &= ~3u;
            break;
        case kControlWord:
            value &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
            break;
        default:
            break;
    }
    state_.table[word] = value;
    send_if_pending(static_cast<unsigned>(word / kWordsPerVector));
}

void Msix::write(uint64_t offset, unsigned bytes, uint64_t value) {
    if (offset % 4 != 0 || (bytes != 4 && bytes != 8)) return;
    write_word(offset, static_cast<uint32_t>(value));
    if (bytes == 8) write_word(offset + 4, static_cast<uint32_t>(value >> 32));
}

void Msix::set_gate(bool enabled, bool masked, bool bus_master) {
    if (!enabled) std::fill(state_.pending.begin(), state_.pending.end(), 0);
    enabled_ = enabled;
    gate_open_ = enabled && !masked && bus_master;
    for (unsigned i = 0; gate_open_ && i < vectors_; i++) send_if_pending(i);
}

bool Msix::open(unsigned vector) const {
    return gate_open_ && (state_.table[vector * kWordsPerVector + kControlWord] & PCI_MSIX_ENTRY_CTRL_MASKBIT) == 0;
}

void Msix::send_if_pending(unsigned vector) {
    if (!pending(vector) || !open(vector)) return;
    state_.pending[vector / 64] &= ~(uint64_t{1} << (vector % 64));
    send(vector);
}

void Msix::send(unsigned vector) {
    const uint32_t* entry = &state_.table[vector * kWordsPerVector];
    sink_.send(static_cast<uint64_t>(entry[1]) << 32 | entry[0], entry[2]);
}

void Msix::raise(unsigned vector) {
    if (!enabled_ || vector >= vectors_) return;
    if (open(vector)) {
        send(vector);
    } else {
        state_.pending[vector / 64] |= uint64_t{1} << (vector % 64);
    }
}

Result<> Msix::check(const State& state) const {
    if (state.table.size() != state_.table.size() || state.pending.size() != state_.pending.size()) {
        return fail(Error{"restore", "MSI-X table", "it has another number of vectors",
                          "start the machine with the devices that it was saved with"});
    }
    return {};
}

void Msix::adopt(const State& state) {
    for (size_t i = 0; i < state.table.size(); i++) {
        uint32_t mask = i % kWordsPerVector == 0 ? ~3u : i % kWordsPerVector == kControlWord ? 1u : ~0u;
        state_.table[i] = state.table[i] & mask;
    }
    state_.pending = state.pending;
    if (vectors_ % 64 != 0) state_.pending.back() &= (uint64_t{1} << (vectors_ % 64)) - 1;
}

}  // namespace doppel::device::pci
