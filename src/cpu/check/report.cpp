#include "cpu/check/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/byte_order.h"
#include "cpu/interpret/soft_tlb.h"
#include "cpu/translate/front_end.h"
#include "isa/riscv/decode.h"

namespace doppel::cpu::check {

namespace {

using interpret::CodePlace;
using interpret::kPageMask;

class Description {
  public:
    Description(const Difference& difference, const isa::riscv::Hart& hart) : difference_(difference), hart_(hart) {}

    std::string text() {
        add_headline();
        for (const CodePlace& place : difference_.blocks) add_block(place);
        add_registers();
        add_memory();
        return std::move(text_);
    }

  private:
    template <class... Args>
    void add(fmt::format_string<Args...> format, Args&&... args) {
        fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    }

    void add_headline() {
        add("doppel: error: --engine check: hart {}: translated code and the interpreter differ after {} instruction{} "
            "from "
            "pc {:#x}, which left pc {:#x}\n",
            hart_.id, difference_.instructions, difference_.instructions == 1 ? "" : "s", difference_.before.pc,
            difference_.interpreted.pc);
        if (difference_.interpreted_left) add("The interpreter trapped, or left otherwise, on the way.\n");
        if (difference_.blocks.size() > 1) {
            add("The blocks one by one show no difference, only the chain of them does. They begin at:\n");
            for (const CodePlace& place : difference_.blocks) add("  {:#x}\n", place.pc);
        }
    }

    void add_block(const CodePlace& place) {
        uint64_t offset = place.pc & ~kPageMask;
        std::span page(place.code - offset, isa::riscv::kPageBytes);
        translate::CodeMode mode{(difference_.before.mstatus & isa::riscv::mstatus::kFs) != 0, hart_.csr.frm};
        auto block = translate::record_block(page, static_cast<uint16_t>(offset), mode);
        uint64_t end = block ? offset + block->bytes : page.size();
        add("Guest code, at guest physical address {:#x}:\n", place.physical);
        constexpr unsigned kMost = 64;
        for (unsigned n = 0; n < kMost && offset + 2 <= end; n++) {
            uint32_t bits = load_le<uint16_t>(&page[offset]);
            unsigned length = isa::riscv::length_of(bits);
            if (offset + length > page.size()) break;
            if (length == 4) bits |= uint32_t{load_le<uint16_t>(&page[offset + 2])} << 16;
            uint64_t pc = (place.pc & kPageMask) + offset;
            add("  {:#x}  {:0{}x}{}  {}\n", pc, bits, 2 * length, length == 2 ? "    " : "",
                isa::riscv::disassemble(bits, pc));
            offset += length;
        }
        if (block) add("Its intermediate representation:\n{}", doppel::translate::print(block->block));
    }

    void add_registers() {
        auto before = named_values(difference_.before), interpreted = named_values(difference_.interpreted),
             translated = named_values(difference_.translated);
        add("Registers that differ are marked; others that changed, and pc, follow:\n  {:<18}{:<20}{:<20}{}\n", "",
            "before", "interpreter", "translated code");
        for (bool differing : {true, false}) {
            for (size_t i = 0; i < std::min({before.size(), interpreted.size(), translated.size()}); i++) {
                bool differs = interpreted[i].value != translated[i].value;
                bool told = differs || before[i].value != interpreted[i].value || i == 0;
                if (!told || differs != differing) continue;
                add("{} {:<18}{:<#20x}{:<#20x}{:#x}\n", differs ? '*' : ' ', before[i].name, before[i].value,
                    interpreted[i].value, translated[i].value);
            }
        }
        add("All registers before:");
        for (size_t i = 0; i < before.size(); i++) {
            constexpr size_t kInLine = 4;
            add("{}{:<5}{:#018x}", i % kInLine == 0 ? "\n  " : "  ", before[i].name, before[i].value);
        }
        add("\n");
    }

    void add_memory() {
        if (!difference_.memory.empty()) {
            add("Memory, by guest physical address:\n  {:<18}{:<20}{:<20}{}\n", "", "before", "interpreter",
                "translated code");
        }
        for (const MemoryDifference& one : difference_.memory) {
            add("* {:<#18x}{:<#20x}{:<#20x}{:#x}\n", one.physical, one.before, one.interpreted, one.translated);
        }
        for (uint64_t page : difference_.only_interpreted) {
            add("* The interpreter wrote to the page {:#x}, translated code did not.\n", page);
        }
    }

    const Difference& difference_;
    const isa::riscv::Hart& hart_;
    std::string text_;
};

}  // namespace

std::string describe(const Difference& difference, const isa::riscv::Hart& hart) {
    return Description(difference, hart).text();
}

}  // namespace doppel::cpu::check
