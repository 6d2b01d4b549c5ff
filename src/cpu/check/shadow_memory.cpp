#include "cpu/check/shadow_memory.h"

#include <cstring>

#include "base/byte_order.h"

namespace doppel::cpu::check {

using interpret::kPageMask;
using interpret::TlbEntry;

void ShadowMemory::clear() {
    drop_addresses();
    count_ = 0;
}

void ShadowMemory::drop_addresses() {
    for (uint64_t va : used_) {
        translated_.slot(va) = {};
        interpreted_.slot(va) = {};
    }
    used_.clear();
}

ShadowMemory::Page* ShadowMemory::find(uint64_t physical) const {
    for (size_t i = 0; i < count_; i++) {
        if (pages_[i]->physical == physical) return pages_[i].get();
    }
    return nullptr;
}

ShadowMemory::Page& ShadowMemory::copy(uint64_t physical, uint8_t* memory) {
    if (count_ == pages_.size()) pages_.push_back(std::make_unique<Page>());
    Page& page = *pages_[count_++];
    page.memory = memory;
    page.physical = physical;
    page.is_writable = false;
    std::memcpy(page.written.data(), memory, page.written.size());
    page.interpreted = page.written;
    return page;
}

// Word by word, so that what a device writes to other words stays.
void ShadowMemory::commit() const {
    each_writable([](const Page& page) {
        if (page.interpreted == page.before) return;
        for (size_t at = 0; at < page.before.size(); at += sizeof(uint64_t)) {
            const auto now = load_le<uint64_t>(&page.interpreted[at]);
            if (now != load_le<uint64_t>(&page.before[at])) store_le<uint64_t>(page.memory + at, now);
        }
    });
}

bool ShadowMemory::map(uint64_t va, const TlbEntry& entry, bool writes) {
    uint64_t tag = va & kPageMask;
    TlbEntry& mine = translated_.slot(va);
    TlbEntry& other = interpreted_.slot(va);
    auto is_of_another = [&](const TlbEntry& slot) {
        return (slot.read_tag != interpret::kNoPage && slot.read_tag != tag) ||
               (slot.write_tag != interpret::kNoPage && slot.write_tag != tag);
    };
    if (is_of_another(mine) || is_of_another(other)) return false;
    bool known = (mine.read_tag == tag || mine.write_tag == tag) && mine.physical == entry.physical;
    if (!known) {
        mine = {};
        other = {};
        used_.push_back(va);
    }
    Page* page = find(entry.physical);
    if (page == nullptr) page = &copy(entry.physical, reinterpret_cast<uint8_t*>(tag + entry.offset));
    if (writes && !std::exchange(page->is_writable, true)) page->before = page->written;
    mine.physical = other.physical = entry.physical;
    mine.offset = reinterpret_cast<uint64_t>(page->written.data()) - tag;
    other.offset = reinterpret_cast<uint64_t>(page->interpreted.data()) - tag;
    (writes ? mine.write_tag : mine.read_tag) = tag;
    // What may be written may be read, and translated code knows that.
    other.read_tag = tag;
    if (writes) other.write_tag = tag;
    return true;
}

std::vector<uint64_t> ShadowMemory::take_written_by_interpreter_alone() {
    std::vector<uint64_t> alone;
    interpreted_.drop_writes([&](uint64_t physical) {
        const Page* page = find(physical);
        if (page == nullptr || !page->is_writable) alone.push_back(physical);
        return false;
    });
    interpreted_.clear();
    return alone;
}

}  // namespace doppel::cpu::check
