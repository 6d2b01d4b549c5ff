#include "cpu/translate/translator.h"

#include "cpu/interpret/program_machine.h"

namespace doppel::cpu::interpret {

// Everything is translated before it is executed, so that the interpreter's tests are the translator's.
std::unique_ptr<Vcpu> make_test_vcpu(const VcpuParts& parts) {
    auto engine = translate::Translator::create({.cache_bytes = size_t{1} << 20, .hot = 0});
    return engine ? (*engine)->make_vcpu(parts) : nullptr;
}

}  // namespace doppel::cpu::interpret
