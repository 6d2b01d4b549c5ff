#include "cpu/check/shadow_memory.h"

#include <cstring>

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
    return page;
}

void ShadowMemory::map(uint64_t va, const TlbEntry& entry, bool writes) {
    uint64_t tag = va & kPageMask;
    TlbEntry& mine = translated_.slot(va);
    TlbEntry& other = interpreted_.slot(va);
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
    other.offset = entry.offset;
    (writes ? mine.write_tag : mine.read_tag) = tag;
    // What may be written may be read, and translated code knows that.
    other.read_tag = tag;
    if (writes) other.write_tag = tag;
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
