// The machine's debugger.
#include <fmt/format.h>

#include <cstdio>

#include "base/sizes.h"
#include "machine/gdb/listener.h"
#include "machine/machine.h"

namespace doppel::machine {

Result<> Machine::open_debugger() {
    if (specification_.gdb.empty()) return {};
    constexpr int kKilled = 128 + 9;  // as SIGKILL would end it
    DebugControl control{.reset = [this] { end({.reboot = true}); },
                         .quit = [this] { end({}); },
                         .kill = [this] { end({.code = kKilled}); },
                         .about =
                             [this] {
                                 return fmt::format("{}, {} {}, {} of memory, engine {}", name_of(specification_.arch),
                                                    specification_.cpus, specification_.cpus == 1 ? "hart" : "harts",
                                                    format_size(ram_size()), engines_->current().name());
                             }};
    debug_target_ = std::make_unique<DebugTarget>(*harts_, memory_, *timebase_, std::move(control));
    DOPPEL_TRY(debugger_, gdb::Server::listen(specification_.gdb, *loop_, *debug_target_));
    if (!gdb::debugger_port(specification_.gdb)) DOPPEL_CHECK(file_remover_->add(specification_.gdb));
    std::fprintf(stderr, "doppel: the guest is halted until GDB lets it go on: target remote %s\n",
                 debugger_->location().c_str());
    return {};
}

}  // namespace doppel::machine
