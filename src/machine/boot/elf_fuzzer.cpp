#include "machine/boot/elf.h"

#include <elf.h>

#include <cstdlib>

#include "machine/boot/test_files.h"

namespace {

using namespace doppel::machine::boot;

std::vector<uint8_t> sample() {
    test::TestElf elf;
    elf.segments.push_back({0x9000'0000, 0x9000'0000, test::Bytes(16, 1), 4096});
    elf.symbols = {{"_start", 0x8000'0000, 16}, {"tohost", 0x9000'0000, 8}, {"end", 0x9000'1000}};
    return elf.build();
}

void check(const std::vector<uint8_t>& file) {
    const auto elf = Elf::parse(file, EM_RISCV, {"read firmware", "fuzz"});
    if (!elf) return;
    uint64_t sum = 0;
    for (const ElfSegment& segment : elf->segments()) {
        for (const uint8_t byte : segment.content) sum += byte;  // the sanitizer sees a span outside the file
        if (segment.content.size() > segment.memory_size) std::abort();
        if (segment.physical_address + (segment.memory_size - 1) < segment.physical_address) std::abort();
    }
    const auto symbols = elf->read_symbols();
    if (!symbols) return;
    const auto found = symbols->find("tohost");
    if (found && found->name != "tohost") std::abort();
    const auto covering = symbols->at(elf->entry() + (sum & 1));
    if (covering && covering->address > elf->entry() + (sum & 1)) std::abort();
}

}  // namespace

// Byte 0: odd takes the rest as the file; even changes a valid file by the rest as (offset16, byte) triples.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    if ((data[0] & 1) != 0) {
        check(std::vector<uint8_t>(data + 1, data + size));
        return 0;
    }
    static const std::vector<uint8_t> kSample = sample();
    std::vector<uint8_t> file = kSample;
    for (size_t i = 1; i + 3 <= size; i += 3) file[doppel::load_le<uint16_t>(data + i) % file.size()] = data[i + 2];
    check(file);
    return 0;
}
