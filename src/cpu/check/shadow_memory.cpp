#include "cpu/check/shadow_memory.h"

#include <cstring>

namespace doppel::cpu::check {

using interpret::kNoPage;
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

ShadowMemory::Page* ShadowMemory::find(uint64_t physical) {
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
    std::memcpy(page.before.data(), memory, page.before.size());
    page.written = page.before;
    // Who reads the page through another address sees what is written from now on.
    for (uint64_t va : used_) {
        TlbEntry& entry = translated_.slot(va);
        uint64_t tag = entry.read_tag != kNoPage ? entry.read_tag : entry.write_tag;
        if (entry.physical == physical) entry.offset = reinterpret_cast<uint64_t>(page.written.data()) - tag;
    }
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
    other.physical = mine.physical = entry.physical;
    other.offset = entry.offset;
    Page* page = find(entry.physical);
    if (writes && page == nullptr) page = &copy(entry.physical, reinterpret_cast<uint8_t*>(tag + entry.offset));
    mine.offset = page != nullptr ? reinterpret_cast<uint64_t>(page->written.data()) - tag : entry.offset;
    (writes ? mine.write_tag : mine.read_tag) = tag;
    (writes ? other.write_tag : other.read_tag) = tag;
}

void ShadowMemory::undo() {
    for (size_t i = 0; i < count_; i++) std::memcpy(pages_[i]->memory, pages_[i]->before.data(), sizeof(Bytes));
}

std::vector<uint64_t> ShadowMemory::take_written_by_interpreter_alone() {
    std::vector<uint64_t> alone;
    interpreted_.drop_writes([&](uint64_t physical) {
        if (find(physical) == nullptr) alone.push_back(physical);
        return false;
    });
    interpreted_.clear();
    return alone;
}

}  // namespace doppel::cpu::check
