#include "machine/trace/trace_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "machine/firmware/sbi_extensions.h"

namespace doppel::machine::trace {

namespace {

constexpr std::array<std::string_view, 20> kExceptions{"instruction address misaligned",
                                                       "instruction access fault",
                                                       "illegal instruction",
                                                       "breakpoint",
                                                       "load address misaligned",
                                                       "load access fault",
                                                       "store address misaligned",
                                                       "store access fault",
                                                       "environment call from U",
                                                       "environment call from S",
                                                       "",
                                                       "environment call from M",
                                                       "instruction page fault",
                                                       "load page fault",
                                                       "",
                                                       "store page fault",
                                                       "",
                                                       "",
                                                       "software check",
                                                       "hardware error"};
constexpr std::array<std::string_view, 14> kInterrupts{
    "", "supervisor software interrupt", "", "machine software interrupt",    "", "supervisor timer interrupt",
    "", "machine timer interrupt",       "", "supervisor external interrupt", "", "machine external interrupt",
    "", "counter overflow interrupt"};

struct Function {
    std::string_view extension;
    uint32_t number;
    std::string_view name;
    unsigned arguments;
};
constexpr Function kFunctions[] = {
    {"BASE", 0, "get_spec_version", 0},
    {"BASE", 1, "get_impl_id", 0},
    {"BASE", 2, "get_impl_version", 0},
    {"BASE", 3, "probe_extension", 1},
    {"BASE", 4, "get_mvendorid", 0},
    {"BASE", 5, "get_marchid", 0},
    {"BASE", 6, "get_mimpid", 0},
    {"TIME", 0, "set_timer", 1},
    {"IPI", 0, "send_ipi", 2},
    {"RFENCE", 0, "remote_fence_i", 2},
    {"RFENCE", 1, "remote_sfence_vma", 4},
    {"RFENCE", 2, "remote_sfence_vma_asid", 5},
    {"HSM", 0, "hart_start", 3},
    {"HSM", 1, "hart_stop", 0},
    {"HSM", 2, "hart_get_status", 1},
    {"HSM", 3, "hart_suspend", 3},
    {"SRST", 0, "system_reset", 2},
    {"DBCN", 0, "console_write", 3},
    {"DBCN", 1, "console_read", 3},
    {"DBCN", 2, "console_write_byte", 1},
    {"FWFT", 0, "set", 3},
    {"FWFT", 1, "get", 1},
};

std::string argument_list(const FirmwareCall& call, size_t count) {
    std::string list;
    for (size_t i = 0; i < count; i++) list += fmt::format("{}{:#x}", i == 0 ? "" : ", ", call.arguments[i]);
    return list;
}

}  // namespace

std::string cause_name(uint64_t cause) {
    const bool interrupt = (cause & isa::riscv::cause::kInterrupt) != 0;
    const uint64_t number = cause & ~isa::riscv::cause::kInterrupt;
    std::string_view name;
    if (interrupt && number < kInterrupts.size()) name = kInterrupts[number];
    if (!interrupt && number < kExceptions.size()) name = kExceptions[number];
    if (!name.empty()) return std::string(name);
    return fmt::format("{} {}", interrupt ? "interrupt" : "cause", number);
}

std::string_view privilege_name(isa::riscv::Privilege privilege) {
    switch (privilege) {
        case isa::riscv::Privilege::kUser:
            return "U";
        case isa::riscv::Privilege::kSupervisor:
            return "S";
        default:
            return "M";
    }
}

std::string access_text(const cpu::TracedAccess& access) {
    using Kind = cpu::TracedAccess::Kind;
    const std::string_view what = access.kind == Kind::kLoad    ? "load"
                                  : access.kind == Kind::kStore ? "store"
                                                                : "atomic";
    std::string text = fmt::format("{} {} at {:#x}", what, access.bytes, access.address);
    if (access.physical != access.address) text += fmt::format(" (physical {:#x})", access.physical);
    text += fmt::format(" = {:#x}", access.value);
    if (access.kind == Kind::kAtomic) text += fmt::format(" -> {:#x}", access.after);
    return text;
}

std::string trap_text(const cpu::TracedTrap& trap, const isa::riscv::Hart& hart, std::string_view target) {
    const bool interrupt = (trap.cause & isa::riscv::cause::kInterrupt) != 0;
    std::string text = fmt::format("{} {}: ", trap.cause & ~isa::riscv::cause::kInterrupt, cause_name(trap.cause));
    if (!interrupt) text += fmt::format("tval {:#x}, ", trap.tval);
    text += fmt::format("{} to {} {:#x}", privilege_name(trap.from), privilege_name(hart.privilege), hart.pc);
    if (!target.empty()) text.append(" ").append(target);
    return text;
}

std::string call_text(const FirmwareCall& call) {
    const auto id = static_cast<uint32_t>(call.extension);
    const firmware::SbiExtension* extension = firmware::find_sbi_extension(id);
    if (extension == nullptr) {
        return fmt::format("extension {:#x} function {}({})", id, call.function,
                           argument_list(call, call.arguments.size()));
    }
    if (extension->legacy) return fmt::format("{}({})", extension->name, argument_list(call, 4));
    const auto* function = std::ranges::find_if(kFunctions, [&](const Function& one) {
        return one.extension == extension->name && one.number == static_cast<uint32_t>(call.function);
    });
    if (function == std::end(kFunctions)) {
        return fmt::format("{} function {}({})", extension->name, call.function,
                           argument_list(call, call.arguments.size()));
    }
    return fmt::format("{}.{}({})", extension->name, function->name, argument_list(call, function->arguments));
}

}  // namespace doppel::machine::trace
