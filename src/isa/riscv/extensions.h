// The extensions that harts have: what misa and the device tree say comes from this one list.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::isa::riscv {

// What every hart has, in the order of the device tree's riscv,isa-extensions (single letters first).
inline constexpr std::string_view kExtensions[] = {
    "i",        "m",           "a",   "f",   "d",     "c",    "zicbom", "zicboz", "zicntr",  "zicond",  "zicsr",
    "zifencei", "zihintpause", "zba", "zbb", "zbc",   "zbkb", "zbkc",   "zbkx",   "zbs",     "zkn",     "zknd",
    "zkne",     "zknh",        "zkr", "zks", "zksed", "zksh", "sstc",   "svadu",  "svinval", "svnapot", "svpbmt",
};

// RV64 with A, B (Zba, Zbb, Zbs), C, D, F, I, M, S and U.
constexpr uint64_t misa_letters(std::string_view letters) {
    uint64_t value = 0;
    for (char c : letters) value |= uint64_t{1} << (c - 'A');
    return value;
}
inline constexpr uint64_t kMisa = uint64_t{2} << 62 | misa_letters("ABCDFIMSU");
constexpr uint64_t misa(bool vector) {
    return vector ? kMisa | misa_letters("V") : kMisa;
}

// What harts have in some machines only.
struct MachineExtensions {
    bool aia = false;           // IMSICs
    bool machine_mode = false;  // false: the host is the firmware, and nothing of M-mode is named
    unsigned vector_bits = 0;   // VLEN; 0: no vector unit
};

// riscv,isa-extensions. V comes behind C, and what it contains after all others.
inline std::vector<std::string> extensions(const MachineExtensions& machine) {
    std::vector<std::string> list;
    for (std::string_view extension : kExtensions) {
        if (extension == "sstc" && machine.aia && machine.machine_mode) list.emplace_back("smaia");
        if (extension == "sstc" && machine.aia) list.emplace_back("ssaia");
        list.emplace_back(extension);
        if (extension == "c" && machine.vector_bits != 0) list.emplace_back("v");
    }
    if (machine.vector_bits == 0) return list;
    for (const char* subset : {"zve32f", "zve32x", "zve64d", "zve64f", "zve64x"}) list.emplace_back(subset);
    for (unsigned bits = 32; bits <= machine.vector_bits; bits *= 2) list.push_back("zvl" + std::to_string(bits) + "b");
    return list;
}

// "rv64imafdc_zicbom_..._svpbmt": the older riscv,isa property.
inline std::string isa_string(const MachineExtensions& machine) {
    std::string text = "rv64";
    for (const std::string& extension : extensions(machine)) {
        if (extension.size() > 1) text += '_';
        text += extension;
    }
    return text;
}

}  // namespace doppel::isa::riscv
