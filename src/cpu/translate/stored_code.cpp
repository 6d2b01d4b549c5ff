#include "cpu/translate/stored_code.h"

#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/byte_order.h"
#include "base/file.h"
#include "base/log.h"
#include "cpu/translate/front_end.h"
#include "cpu/translate/hart_layout.h"
#include "cpu/translate/loop_region.h"
#include "translate/x86/emitter.h"
#include "translate/x86/host.h"

namespace doppel::cpu::translate {

using stored_code::Part;
using stored_code::Unit;
namespace x86 = doppel::translate::x86;

namespace {

// A note: u32 bytes, and that many: 8 of the key of a unit that was taken, or a unit.
constexpr size_t kLengthBytes = 4, kKeyBytes = 8;
constexpr uint8_t kModes = 16;  // three bits of rounding, one of floating point
constexpr size_t kWrittenAtOnce = 64 << 10;

// The linker's name for this program's content. Source: elf(5), NT_GNU_BUILD_ID.
std::string build_id() {
    std::string found;
    auto look = [](dl_phdr_info* program, size_t, void* to) {
        for (unsigned i = 0; i < program->dlpi_phnum; i++) {
            const ElfW(Phdr)& segment = program->dlpi_phdr[i];
            if (segment.p_type != PT_NOTE) continue;
            std::span<const uint8_t> notes(reinterpret_cast<const uint8_t*>(program->dlpi_addr + segment.p_vaddr),
                                           segment.p_memsz);
            constexpr size_t kHead = sizeof(ElfW(Nhdr));
            const auto padded = [](size_t bytes) { return (bytes + 3) & ~size_t{3}; };
            while (notes.size() >= kHead) {
                ElfW(Nhdr) head;
                std::memcpy(&head, notes.data(), sizeof head);
                const size_t name = padded(head.n_namesz), content = padded(head.n_descsz);
                if (kHead + name + content > notes.size()) break;
                if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == sizeof "GNU" &&
                    std::memcmp(&notes[kHead], "GNU", sizeof "GNU") == 0) {
                    for (const uint8_t byte : notes.subspan(kHead + name, head.n_descsz)) {
                        *static_cast<std::string*>(to) += fmt::format("{:02x}", byte);
                    }
                }
                notes = notes.subspan(kHead + name + content);
            }
        }
        return 1;  // the first is the program itself
    };
    dl_iterate_phdr(look, &found);
    return found;
}

CodeMode mode_from(uint8_t number) {
    return {(number & 1) != 0, static_cast<uint8_t>(number >> 1)};
}

Unit unit_of(const Unit& source, const x86::Compiled& compiled, std::vector<Part> parts,
             std::span<const uint8_t> page) {
    Unit made{source.is_loop, source.mode,      source.start,      std::move(parts), {},
              compiled.code,  compiled.cold_at, compiled.crossings};
    for (size_t i = 0; i < made.parts.size(); i++) {
        Part& part = made.parts[i];
        part.entry = compiled.entries[i];
        made.guest.insert(made.guest.end(), &page[part.offset], &page[part.offset] + part.bytes);
    }
    return made;
}

}  // namespace

std::optional<std::string> stored_configuration(std::string_view isa, const doppel::translate::Techniques& techniques) {
    const std::string build = build_id();
    if (build.empty()) return std::nullopt;
    const std::string without = names_without(techniques);
    return fmt::format("build {}, {}, x86-64 host {:#x}{}{}", build, isa, x86::host_features().number(),
                       without.empty() ? "" : ", without ", without);
}

StoredCode::StoredCode(std::optional<stored_code::File> file, UniqueFd notes)
    : file_(std::move(file)), notes_(std::move(notes)) {
    if (file_) taken_.resize(file_->count());
}

StoredCode::~StoredCode() {
    write_notes();
}

std::optional<size_t> StoredCode::find(std::span<const uint8_t> page, uint16_t offset, CodeMode mode) const {
    return file_ ? file_->find(page, offset, mode.number()) : std::nullopt;
}

const Unit* StoredCode::take(size_t number, std::span<const uint8_t> page, uint16_t offset) {
    if (!file_->read_unit(number, unit_)) {
        log_warning("stored translations are damaged and not used any more; they are made anew");
        file_.reset();
        return nullptr;
    }
    const bool has_offset = std::ranges::any_of(unit_.parts, [&](const Part& part) { return part.offset == offset; });
    if (!has_offset || unit_.host.empty() || !is_code_of(unit_, page)) return nullptr;
    if (!taken_[number]) {
        taken_[number] = true;
        std::array<uint8_t, kKeyBytes> key;
        store_le(key.data(), file_->key(number));
        append(key);
    }
    return &unit_;
}

void StoredCode::note(std::span<const uint8_t> page, uint16_t start, CodeMode mode, bool is_loop,
                      std::vector<Part> parts) {
    Unit unit{is_loop, mode.number(), start, std::move(parts), {}, {}, 0, {}};
    if (unit.parts.size() > stored_code::kMaxParts) return;
    for (const Part& part : unit.parts) {
        unit.guest.insert(unit.guest.end(), &page[part.offset], &page[part.offset] + part.bytes);
    }
    append(encode(unit));
}

void StoredCode::append(std::span<const uint8_t> record) {
    if (!notes_ || noted_ + kLengthBytes + record.size() > kMaxNotes) return;
    noted_ += kLengthBytes + record.size();
    std::array<uint8_t, kLengthBytes> length;
    store_le(length.data(), static_cast<uint32_t>(record.size()));
    unwritten_.insert(unwritten_.end(), length.begin(), length.end());
    unwritten_.insert(unwritten_.end(), record.begin(), record.end());
    if (unwritten_.size() >= kWrittenAtOnce) write_notes();
}

void StoredCode::write_notes() {
    if (notes_ && !write_all(notes_.get(), unwritten_)) notes_.reset();
    unwritten_.clear();
}

stored_code::Additions read_notes(std::span<const uint8_t> notes, const doppel::translate::Techniques& techniques) {
    stored_code::Additions additions;
    std::unordered_set<uint64_t> seen;
    while (notes.size() >= kLengthBytes) {
        const auto length = load_le<uint32_t>(notes.data());
        notes = notes.subspan(kLengthBytes);
        if (length > notes.size()) break;
        const auto record = notes.first(length);
        notes = notes.subspan(length);
        if (length == kKeyBytes) {
            additions.used.insert(load_le<uint64_t>(record.data()));
            continue;
        }
        const auto source = stored_code::decode(record);
        if (!source || !seen.insert(key_of(*source)).second) continue;
        if (auto unit = retranslate(*source, techniques)) additions.units.push_back(std::move(*unit));
    }
    return additions;
}

std::optional<Unit> retranslate(const Unit& source, const doppel::translate::Techniques& techniques) {
    // What follows the code is no code: a word that needs more bytes than the page has left, or is illegal.
    constexpr uint8_t kNoCode = 0xff;
    std::array<uint8_t, stored_code::kPageBytes> page;
    page.fill(kNoCode);
    std::span<const uint8_t> guest = source.guest;
    for (const Part& part : source.parts) {
        std::copy_n(guest.begin(), part.bytes, page.begin() + part.offset);
        guest = guest.subspan(part.bytes);
    }
    const CodeMode mode = mode_from(source.mode);
    if (source.mode >= kModes || !is_code_of(source, page)) return std::nullopt;
    std::vector<doppel::translate::Block> blocks;
    std::vector<Part> parts;
    const auto add = [&](RecordedBlock& recorded) {
        parts.push_back({recorded.block.start(), static_cast<uint16_t>(recorded.bytes)});
        blocks.push_back(std::move(recorded.block));
    };
    x86::Mapping mapping = x86::canonical_mapping();
    if (source.is_loop) {
        auto loop = find_loop(page, source.start, mode, techniques);
        if (!loop) return std::nullopt;
        mapping = loop->mapping;
        std::ranges::for_each(loop->blocks, add);
    } else {
        auto recorded = record_block(page, source.start, mode, techniques);
        if (!recorded || recorded->bytes != source.parts.front().bytes) return std::nullopt;
        add(*recorded);
    }
    x86::Emitter emitter(hart_layout(), mapping, techniques);
    const x86::Compiled compiled = emitter.compile(blocks);
    if (!compiled.ok || parts.size() > stored_code::kMaxParts || compiled.code.size() > stored_code::kMaxHostBytes) {
        return std::nullopt;
    }
    return unit_of(source, compiled, std::move(parts), page);
}

}  // namespace doppel::cpu::translate
