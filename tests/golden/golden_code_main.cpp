// Compares the host code of each guest instruction with the text in a file, or writes it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/translate/front_end.h"
#include "cpu/translate/hart_layout.h"
#include "isa/riscv/assemble.h"
#include "isa/riscv/decode.h"
#include "machine/trace/code_text.h"
#include "translate/x86/emitter.h"

namespace {

using namespace doppel;
using isa::riscv::InstructionId;
using translate::Operation;
namespace x86 = translate::x86;

constexpr uint16_t kOffset = 0x100;  // of the instruction in its page

// Whether a line of the table is another one's meaning.
constexpr bool kCompressed[] = {
#define INSN(id, pattern, operands, extension) false,
#define COMPRESSED(id, pattern, operands, meaning, extension) true,
#include "isa/riscv/instructions.inc"
#undef INSN
#undef COMPRESSED
};

// a0, a1, a2 and a3 where registers are, which translated code keeps in host registers, and small immediates; or the
// number of the control register fflags, 1, where the last two are.
constexpr uint32_t kOperands[] = {13u << 27 | 12u << 20 | 11u << 15 | 10u << 7, 1u << 20 | 11u << 15 | 10u << 7};

// Distances of its own, so that only changes of the generated code show.
x86::Layout layout() {
    x86::Layout made = cpu::translate::hart_layout();
    made.integers = -0x80;
    made.floats = 0x80;
    made.float_status = 0x180;
    made.float_flags = 0x188;
    made.reservation_address = 0x190;
    made.reservation_value = 0x198;
    made.reservation_bytes = 0x1a0;
    made.native = 0x1000;
    return made;
}

// An instruction and its code; empty: not for translated code.
struct Golden {
    std::string instruction, code;
};
Golden golden_of(InstructionId id, uint32_t operands) {
    const isa::riscv::InstructionInfo& info = isa::riscv::info(id);
    const uint32_t bits = (operands & ~info.mask) | info.match;
    if (isa::riscv::decode(bits).id != id) return {};
    std::array<uint8_t, 4096> page{};
    for (unsigned i = 0; i < info.length; i++) page[kOffset + i] = static_cast<uint8_t>(bits >> 8 * i);
    auto recorded = cpu::translate::record_block(page, kOffset, {.float_enabled = true});
    if (!recorded) return {};
    // Where helpers lie differs from build to build, and what those of vectors are told of their operands from
    // instruction to instruction.
    std::vector<translate::Node>& nodes = recorded->block.nodes;
    for (translate::Node& node : nodes) {
        if (node.operation >= Operation::kCall && node.operation <= Operation::kSystem) node.imm = 0x1000;
        if (info.extension == "V" && node.operation == Operation::kSystem && node.c != 0) nodes[node.c].imm = 0x2000;
    }
    constexpr x86::HostFeatures kHost{.bmi2 = true, .fma = true, .lzcnt = true, .tzcnt = true, .popcnt = true};
    const x86::Layout distances = layout();
    x86::Emitter emitter(distances, x86::canonical_mapping(), {}, kHost);
    x86::Compiled compiled = emitter.compile({&recorded->block, 1});
    Golden made{fmt::format("{}\n", isa::riscv::disassemble(bits, kOffset)), ""};
    if (!compiled.ok) made.code = "    not compiled\n";
    for (const auto& line : machine::trace::host_lines(compiled.code, 0)) {
        made.code += fmt::format("    {:03x}  {}\n", line.address, line.text);
    }
    return made;
}

// Calls and returns, which the registers make: by ra.
constexpr std::pair<InstructionId, uint32_t> kLinkages[] = {
    {InstructionId::k_jal, 1u << 20 | 1u << 7},
    {InstructionId::k_jalr, 11u << 15 | 1u << 7},
    {InstructionId::k_jalr, 1u << 15},
};

std::string all() {
    std::vector<Golden> found;
    for (auto [id, operands] : kLinkages) found.push_back(golden_of(id, operands));
    for (size_t i = 0; i + 1 < isa::riscv::kInstructionCount; i++) {
        if (kCompressed[i]) continue;
        Golden one;
        for (uint32_t operands : kOperands) {
            if (one.code.empty()) one = golden_of(static_cast<InstructionId>(i), operands);
        }
        if (one.code.empty()) continue;
        auto same =
            std::find_if(found.begin(), found.end(), [&](const Golden& other) { return other.code == one.code; });
        same == found.end() ? found.push_back(one) : void(same->instruction += one.instruction);
    }
    std::string text =
        "# The host code of each guest instruction, with one behind it that is left to the interpreter; once for all "
        "that "
        "have the same.\n";
    for (const Golden& each : found) text += "\n" + each.instruction + each.code;
    return text;
}

int write(const std::filesystem::path& file, const std::string& text) {
    std::filesystem::path beside = file;
    beside += ".new";
    std::ofstream out(beside, std::ios::binary);
    out << text;
    out.close();
    std::error_code failed;
    if (out) std::filesystem::rename(beside, file, failed);
    if (out && !failed) return 0;
    std::fprintf(stderr, "write golden code: %s: no space or no permission\n", file.c_str());
    return 1;
}

// The first lines that differ, below the instruction that they belong to.
void tell_difference(std::string_view expected, std::string_view found) {
    std::string_view instruction;
    while (!expected.empty() || !found.empty()) {
        auto take = [](std::string_view& from) {
            size_t end = std::min(from.find('\n'), from.size());
            std::string_view line = from.substr(0, end);
            from.remove_prefix(std::min(end + 1, from.size()));
            return line;
        };
        std::string_view was = take(expected), is = take(found);
        if (!was.empty() && was.front() != ' ') instruction = was;
        if (was == is) continue;
        fmt::print("{}\n  was {}\n  is  {}\n`make golden` writes the new code.\n", instruction, was, is);
        return;
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 2) {
        std::fprintf(stderr, "usage: golden_code FILE [--write]\n");
        return 2;
    }
    const std::string text = all();
    if (count == 3 && std::string_view(arguments[2]) == "--write") return write(arguments[1], text);
    std::ifstream in(arguments[1], std::ios::binary);
    const std::string expected{std::istreambuf_iterator<char>(in), {}};
    if (in && expected == text) return 0;
    tell_difference(expected, text);
    return 1;
}
