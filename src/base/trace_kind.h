// What of a guest can be traced: kinds, and their words on the command line and in the trace. The launcher, the machine
// and every engine mean the same by them. A further kind is a bit and a word here, and a function in cpu/trace.h.
#pragma once

#include <array>
#include <string_view>

namespace doppel {

// Bits: a set of kinds is an unsigned.
namespace trace_kind {
inline constexpr unsigned kInstructions = 1;
inline constexpr unsigned kMemory = 2;
inline constexpr unsigned kInterrupts = 4;
inline constexpr unsigned kTraps = 8;  // exceptions, without interrupts
inline constexpr unsigned kFirmware = 16;
inline constexpr unsigned kTranslations = 32;  // to host code, by an engine that does so
// Only an engine that executes instructions one by one can tell of these: with one of them the machine interprets.
inline constexpr unsigned kSingly = kInstructions | kMemory;
}  // namespace trace_kind

struct TraceWord {
    std::string_view word;
    unsigned kind;
};
inline constexpr std::array kTraceWords{
    TraceWord{"insn", trace_kind::kInstructions}, TraceWord{"mem", trace_kind::kMemory},
    TraceWord{"irq", trace_kind::kInterrupts},    TraceWord{"trap", trace_kind::kTraps},
    TraceWord{"sbi", trace_kind::kFirmware},      TraceWord{"translate", trace_kind::kTranslations}};

}  // namespace doppel
