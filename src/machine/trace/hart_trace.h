// A hart's trace as lines of text:
//
//   HART INSTRET PC SYMBOL KIND DETAIL
//
// HART is decimal, INSTRET the instructions that the hart has retired before, PC hexadecimal, SYMBOL
// "start_kernel+0x10" or "-", KIND insn, mem, irq, trap, sbi or translate; DETAIL goes to the end of the line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cpu/trace.h"
#include "machine/trace/symbols.h"
#include "machine/trace/trace_file.h"
#include "machine/trace/trace_text.h"

namespace doppel::machine::trace {

// Used by the hart's thread alone, except where said.
class HartTrace final : public cpu::Trace {
  public:
    struct Output {
        unsigned kinds;   // trace_kind bits
        TraceFile* file;  // outlives the trace
    };
    static constexpr size_t kBuffer = 64 << 10;   // bytes of lines that wait, for each output
    static constexpr size_t kLongestLine = 4096;  // bytes; what is longer is cut

    HartTrace(unsigned hart, const std::vector<Output>& outputs, const Symbols& symbols);
    ~HartTrace() override;  // flushes

    void instruction(const isa::riscv::Hart& hart, uint32_t bits) override;
    void access(const isa::riscv::Hart& hart, const cpu::TracedAccess& access) override;
    void trap(const isa::riscv::Hart& hart, const cpu::TracedTrap& trap) override;
    // A line for the whole, then one for each guest instruction, operation between and host instruction.
    void translation(const isa::riscv::Hart& hart, const cpu::TracedTranslation& translation) override;

    // Around a call that the host answers: what it asks for, and the hart when it is answered. `returns`: with a0, a1.
    static FirmwareCall call_of(const isa::riscv::Hart& hart);
    void firmware_call(const isa::riscv::Hart& hart, const FirmwareCall& call, bool returns);

    // Writes the lines that wait, and wants no more of what only files took that have ended. By any thread while the
    // hart stands.
    void flush();

  private:
    struct Buffer {
        Output output;
        std::string lines;  // never grows: in a confined process a hart's thread does not free large memory
    };
    void line(unsigned kind, uint64_t retired, uint64_t pc, std::string_view detail);
    void drop_ended();

    const unsigned hart_;
    const Symbols& symbols_;
    std::vector<Buffer> buffers_;
};

}  // namespace doppel::machine::trace
