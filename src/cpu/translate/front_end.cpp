#include "cpu/translate/front_end.h"

#include "base/byte_order.h"
#include "isa/riscv/decode.h"
#include "translate/passes.h"

namespace doppel::cpu::translate {

namespace {

using doppel::translate::Operation;

// pause wants the thread to look at others, and fence.i ends what is known of the code behind it.
bool ends_block(isa::riscv::InstructionId id) {
    return id == isa::riscv::InstructionId::k_pause;
}

// Calls and returns, as the unprivileged specification tells them by their registers (2.5.1).
uint8_t linkage_of(const isa::riscv::Decoded& decoded) {
    using Id = isa::riscv::InstructionId;
    auto is_link = [](unsigned number) { return number == 1 || number == 5; };
    const isa::riscv::Operands& o = decoded.operands;
    const bool by_register = decoded.id == Id::k_jalr || decoded.id == Id::k_c_jr || decoded.id == Id::k_c_jalr;
    if (!by_register && decoded.id != Id::k_jal) return 0;
    if (is_link(o.rd)) return o.rd;
    return by_register && is_link(o.rs1) ? doppel::translate::kReturn : 0;
}

}  // namespace

std::optional<RecordedBlock> record_block(std::span<const uint8_t> page, uint16_t offset, CodeMode mode,
                                          const doppel::translate::Techniques& techniques) {
    RecordedBlock made;
    doppel::translate::Builder builder(made.block);
    Recorder recorder(builder, mode, techniques);
    size_t at = offset;
    unsigned count = 0;
    while (!recorder.ended()) {
        bool whole = at + 2 <= page.size();
        unsigned length = whole ? isa::riscv::length_of(load_le<uint16_t>(&page[at])) : 0;
        if (!whole || at + length > page.size() || count == doppel::translate::kMaxBlockInstructions) {
            if (count == 0) return std::nullopt;
            recorder.end_by_falling_through();
            break;
        }
        uint32_t bits = load_le<uint16_t>(&page[at]);
        if (length == 4) bits |= uint32_t{load_le<uint16_t>(&page[at + 2])} << 16;
        isa::riscv::Decoded decoded = isa::riscv::decode(bits);
        recorder.begin(static_cast<uint16_t>(at), length, isa::riscv::info(decoded.id).name, linkage_of(decoded));
        record(recorder, decoded.id, decoded.operands);
        at += length;
        count++;
        if (!recorder.ended() && ends_block(decoded.id)) recorder.end_by_falling_through();
    }
    builder.finish(static_cast<uint16_t>(at));
    made.bytes = static_cast<unsigned>(at - offset);
    bool nothing = count == 1 && made.block.nodes.back().operation == Operation::kInterpret;
    if (nothing) return std::nullopt;
    if (techniques.dead_writes) doppel::translate::remove_dead(made.block);
    return made;
}

}  // namespace doppel::cpu::translate
