#include "machine/trace/hart_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "isa/riscv/decode.h"
#include "machine/trace/code_text.h"

namespace doppel::machine::trace {

namespace {

constexpr unsigned kA0 = 10, kA1 = 11, kA6 = 16, kA7 = 17;

unsigned all_kinds(const std::vector<HartTrace::Output>& outputs) {
    unsigned kinds = 0;
    for (const auto& output : outputs) kinds |= output.kinds;
    return kinds;
}

std::string_view word_of(unsigned kind) {
    return std::ranges::find(kTraceWords, kind, &TraceWord::kind)->word;
}

}  // namespace

HartTrace::HartTrace(unsigned hart, const std::vector<Output>& outputs, const Symbols& symbols)
    : Trace(all_kinds(outputs)), hart_(hart), symbols_(symbols) {
    for (const auto& output : outputs) {
        buffers_.push_back({output, {}});
        buffers_.back().lines.reserve(kBuffer + kLongestLine);
    }
}

HartTrace::~HartTrace() {
    flush();
}

void HartTrace::instruction(const isa::riscv::Hart& hart, uint32_t bits) {
    line(trace_kind::kInstructions, hart.retired, hart.pc, isa::riscv::disassemble(bits, hart.pc));
}

void HartTrace::access(const isa::riscv::Hart&, const cpu::TracedAccess& access) {
    line(trace_kind::kMemory, access.retired, access.pc, access_text(access));
}

void HartTrace::trap(const isa::riscv::Hart& hart, const cpu::TracedTrap& trap) {
    const bool interrupt = (trap.cause & isa::riscv::cause::kInterrupt) != 0;
    if (const unsigned kind = interrupt ? trace_kind::kInterrupts : trace_kind::kTraps; wants(kind)) {
        line(kind, trap.retired, trap.pc, trap_text(trap, hart, symbols_.name(hart.pc)));
    }
    // The guest has a firmware of its own: its answer is its own affair.
    const bool asks_firmware =
        trap.cause == isa::riscv::cause::kEcallSupervisor && hart.privilege == isa::riscv::Privilege::kMachine;
    if (asks_firmware && wants(trace_kind::kFirmware)) {
        line(trace_kind::kFirmware, trap.retired, trap.pc, call_text(call_of(hart)) + ", to the guest's firmware");
    }
}

void HartTrace::translation(const isa::riscv::Hart& hart, const cpu::TracedTranslation& translation) {
    auto tell = [&](uint64_t pc, std::string_view what, std::string_view text) {
        line(trace_kind::kTranslations, hart.retired, pc, fmt::format("{} {}", what, text));
    };
    const uint64_t first = translation.blocks.front().pc;
    tell(first, translation.is_loaded ? "loaded" : "made", translation_text(translation));
    for (const auto& block : translation.blocks) {
        for (const CodeLine& one : guest_lines(block.code, block.pc)) tell(one.address, "guest", one.text);
        for (std::string_view text : split_lines(block.intermediate)) tell(block.pc, "ir", text);
    }
    for (const auto& [code, address] : translation.host_code) {
        for (const CodeLine& one : host_lines(code, address)) {
            tell(first, "host", fmt::format("{:#x} {}", one.address, one.text));
        }
    }
}

FirmwareCall HartTrace::call_of(const isa::riscv::Hart& hart) {
    FirmwareCall call{hart.x[kA7], hart.x[kA6], {}, hart.pc, hart.retired};
    for (unsigned i = 0; i < call.arguments.size(); i++) call.arguments[i] = hart.x[kA0 + i];
    return call;
}

void HartTrace::firmware_call(const isa::riscv::Hart& hart, const FirmwareCall& call, bool returns) {
    if (!wants(trace_kind::kFirmware)) return;
    const std::string answer =
        returns ? fmt::format(" = {}, {:#x}", static_cast<int64_t>(hart.x[kA0]), hart.x[kA1]) : " does not return";
    line(trace_kind::kFirmware, call.retired, call.pc, call_text(call) + answer);
    flush();  // a hart that waits or stops next says no more for a while
}

void HartTrace::line(unsigned kind, uint64_t retired, uint64_t pc, std::string_view detail) {
    if (!wants(kind)) return;
    const std::string symbol = symbols_.name(pc);
    bool wrote = false;
    for (Buffer& buffer : buffers_) {
        if ((buffer.output.kinds & kind) == 0) continue;
        auto end = std::back_inserter(buffer.lines);
        fmt::format_to_n(end, kLongestLine - 1, "{} {} {:#x} {} {} {}", hart_, retired, pc,
                         symbol.empty() ? "-" : symbol, word_of(kind), detail);
        buffer.lines += '\n';
        if (buffer.lines.size() < kBuffer) continue;
        buffer.output.file->write(buffer.lines);
        buffer.lines.clear();
        wrote = true;
    }
    if (wrote) drop_ended();
}

void HartTrace::flush() {
    for (Buffer& buffer : buffers_) {
        if (buffer.lines.empty()) continue;
        buffer.output.file->write(buffer.lines);
        buffer.lines.clear();
    }
    drop_ended();
}

void HartTrace::drop_ended() {
    if (std::erase_if(buffers_, [](const Buffer& buffer) { return buffer.output.file->ended(); }) == 0) return;
    unsigned kinds = 0;
    for (const Buffer& buffer : buffers_) kinds |= buffer.output.kinds;
    keep_only(kinds);
}

}  // namespace doppel::machine::trace
