#include "isa/riscv/hart.h"

#include "base/saved_state.h"

namespace doppel::isa::riscv {

namespace {

std::string vector_registers(unsigned bits) {
    return bits == 0 ? "no vector registers" : "vector registers of " + std::to_string(bits) + " bits";
}

// `from` loses its reservation; what is no architectural state of the hart's own (its interrupt files) stays.
Result<> copy_state(Hart& from, Hart& to) {
    StateWriter writer;
    from.fields(writer);
    const auto document = writer.finish();
    DOPPEL_TRY(StateReader reader, StateReader::parse(document));
    to.fields(reader);
    return reader.finish("restore hart");
}

}  // namespace

Result<> restore(Hart& hart, StateReader& reader) {
    Hart restored;
    restored.interrupt_files = hart.interrupt_files;
    DOPPEL_CHECK(copy_state(hart, restored));
    restored.vector.reset(0);  // of a state from before there were vectors
    restored.fields(reader);
    DOPPEL_CHECK(reader.finish("restore hart"));
    unsigned here = hart.vector.register_bytes() * 8, there = restored.vector.register_bytes() * 8;
    if (here == there) return copy_state(restored, hart);
    return fail(Error{"restore hart", std::to_string(hart.id),
                      "the saved state has " + vector_registers(there) + ", this machine " + vector_registers(here),
                      "restore it in a machine with --vlen " + std::to_string(there)});
}

}  // namespace doppel::isa::riscv
