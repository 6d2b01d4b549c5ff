#include "isa/riscv/csr_aia.h"

#include "isa/riscv/csr.h"

namespace doppel::isa::riscv::aia {

namespace {

constexpr uint64_t kFirstPriority = 0x30, kLastPriority = 0x3f;
constexpr unsigned kIdentityShift = 16;

bool is_priority(uint64_t select) {
    return select >= kFirstPriority && select <= kLastPriority;
}

bool in_file(uint64_t select) {
    return select >= InterruptFile::kDelivery && select < InterruptFile::kEnd;
}

InterruptFile& file_of(const Hart& hart, uint32_t number) {
    bool machine = number == csr_number::kMireg || number == csr_number::kMtopei;
    return machine ? *hart.interrupt_files.machine : *hart.interrupt_files.supervisor;
}

}  // namespace

bool selectable(const Hart& hart, uint64_t select) {
    if (!present(hart)) return false;
    bool in_array = is_priority(select) || (in_file(select) && select >= InterruptFile::kPending);
    if (in_array) return select % 2 == 0;  // RV64 has no odd-numbered ones
    return in_file(select);
}

uint64_t read_selected(const InterruptFile& file, uint64_t select) {
    return in_file(select) ? file.read(static_cast<uint32_t>(select)) : 0;
}

void write_selected(InterruptFile& file, uint64_t select, uint64_t value, uint64_t mask) {
    if (in_file(select)) file.write(static_cast<uint32_t>(select), value, mask);
}

void claim_top(InterruptFile& file) {
    file.claim(file.top() >> kIdentityShift);
}

uint64_t top_interrupt(uint64_t ready) {
    constexpr uint64_t kPriority = 1;
    auto number = highest_priority(ready);
    return number ? uint64_t{*number} << kIdentityShift | kPriority : 0;
}

bool written_with_read(uint32_t number) {
    return number == csr_number::kMireg || number == csr_number::kSireg || number == csr_number::kMtopei ||
           number == csr_number::kStopei;
}

void write_after_read(Hart& hart, uint32_t number, uint64_t value, uint64_t mask, uint64_t seen) {
    InterruptFile& file = file_of(hart, number);
    if (number == csr_number::kMtopei || number == csr_number::kStopei) {
        file.claim(static_cast<uint32_t>(seen >> kIdentityShift));
    } else {
        write_selected(file, number == csr_number::kMireg ? hart.csr.miselect : hart.csr.siselect, value, mask);
    }
}

}  // namespace doppel::isa::riscv::aia
