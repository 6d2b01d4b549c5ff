#include "machine/machine.h"

#include <elf.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <utility>

#include "base/log.h"
#include "machine/boot/boot_rom.h"
#include "machine/boot/command_line.h"
#include "machine/gdb/listener.h"
#include "machine/sandbox/sandbox.h"

namespace doppel::machine {

namespace {

// Programs that end through memory are looked at this often, in instructions.
constexpr uint64_t kHtifBudget = 1 << 14;

}  // namespace

Result<std::unique_ptr<Machine>> Machine::create(Specification specification) {
    DOPPEL_CHECK(validate(specification));
    if (specification.max_cpus > specification.cpus) {
        // All are there, and the kernel starts so many until it is told otherwise.
        const std::string online = fmt::format("maxcpus={}", specification.cpus);
        specification.append = boot::with_parameters(specification.append, online);
        specification.cpus = specification.max_cpus;
    }
    std::unique_ptr<Machine> machine(new Machine(std::move(specification)));
    DOPPEL_CHECK(machine->build());
    return machine;
}

Machine::~Machine() {
    if (harts_) harts_->stop();
    [[maybe_unused]] const auto closed = close_disks();  // as far as that is not done: an error is told already
    if (shares_) shares_->stop();
}

Result<> Machine::build() {
    DOPPEL_CHECK(take_share());
    translations_ = TranslationStore::open(specification_);
    if (makes_sockets() || keeps_changes()) {
        DOPPEL_TRY(file_remover_, sandbox::FileRemover::start());
    }
    if (!specification_.vsock.path.empty()) {
        DOPPEL_TRY(socket_broker_, sandbox::SocketBroker::start(specification_.vsock.path));
    }
    DOPPEL_CHECK(memory_.add_region(riscv64::map::kRam, ram_size()));
    if (!specification_.techniques.huge_pages) memory_.stop_huge_pages();
    DOPPEL_CHECK(memory_.add_region(riscv64::map::kBootRom, riscv64::map::kBootRomSize, /*writable=*/false));
    DOPPEL_CHECK(add_flash());
    DOPPEL_TRY(loop_, EventLoop::create());
    timebase_ = std::make_unique<device::Timebase>(loop_->clock());
    DOPPEL_CHECK(watch_signals());
    DOPPEL_CHECK(open_disks());
    DOPPEL_CHECK(open_vsock());
    DOPPEL_CHECK(open_networks());
    DOPPEL_TRY(engines_,
               Engines::create(specification_, translations_.get(), /*exchangeable=*/!specification_.control.empty()));

    bool bare_metal = !specification_.firmware.empty();
    HartSurroundings surroundings{memory_, bus_, *timebase_, {}, {}, {}, {}};
    surroundings.console_write = [this](std::span<const uint8_t> bytes) { console_->write(bytes); };
    surroundings.console_read = [this](std::span<uint8_t> bytes) {
        return console_input_->read_firmware_console(bytes);
    };
    surroundings.reset_system = [this](firmware::SystemReset kind, bool failed) { reset_system(kind, failed); };
    if (bare_metal) {
        surroundings.poll = [this] { poll_htif(); };
        surroundings.poll_budget = kHtifBudget;
    }
    surroundings.debug_stop = [this] {
        loop_->post([this] {
            if (debugger_) debugger_->target_stopped();
        });
    };
    surroundings.thread_begins = [this](unsigned hart) { place_hart(hart); };
    DOPPEL_TRY(traces_, trace::Traces::open(specification_.traces, specification_.cpus));
    surroundings.traces = traces_.get();
    if (!specification_.statistics.empty()) {
        DOPPEL_TRY(statistics_, StatisticsReport::open(specification_.statistics));
    }
    harts_ = std::make_unique<Harts>(specification_.cpus, engines_->current(), std::move(surroundings));
    pauses_ = std::make_unique<Pauses>(*harts_, *timebase_);
    quota_ = std::make_unique<CpuQuota>(*loop_, *pauses_, specification_.cpus);
    auto hart_input = [this](unsigned hart, unsigned interrupt) { return harts_->line(hart, interrupt); };
    std::vector<device::CfiFlash::Parts> flash;
    for (const FlashBank& bank : flash_) flash.push_back({*bank.content, bank.file.get(), bank.read_only});
    auto on_finish = [this](device::Finish how) { finish(how); };
    DOPPEL_TRY(shares_, Shares::open(specification_.shares, file_remover_.get()));
    DOPPEL_TRY(auto virtio, make_virtio_devices());
    DOPPEL_TRY(board_, riscv64::Board::create({memory_, ram_size(), *loop_, *timebase_, bus_, specification_.cpus,
                                               specification_.irqchip, hart_input, on_finish, std::move(flash),
                                               specification_.virtio, std::move(virtio)}));
    for (unsigned i = 0; i < harts_->count(); i++) {
        harts_->hart(i).interrupt_files = board_->interrupt_files(i);
        harts_->hart(i).vector.reset(specification_.vlen);
    }
    return {};
}

Result<> Machine::add_flash() {
    using namespace riscv64;
    const auto& [code, variables] = std::tie(specification_.code_flash, specification_.variable_flash);
    if (code.path.empty()) return {};
    DOPPEL_TRY(auto first, open_flash_bank(code, FlashUse::kCode, {memory_, map::kFlash, map::kFlashBankSize}));
    flash_.push_back(std::move(first));
    DOPPEL_TRY(auto second, open_flash_bank(variables, FlashUse::kVariables,
                                            {memory_, map::kFlash + map::kFlashBankSize, map::kFlashBankSize}));
    flash_.push_back(std::move(second));
    return {};
}

Result<> Machine::watch_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
    signals_.reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) return fail(Error::system("watch signals", "signalfd", errno));
    return loop_->watch(signals_.get(), EPOLLIN, [this](uint32_t) {
        constexpr int kSignalBase = 128;
        signalfd_siginfo info;
        if (read(signals_.get(), &info, sizeof info) == sizeof info) {
            end({.code = kSignalBase + static_cast<int>(info.ssi_signo)});
        }
    });
}

Result<Machine::Boot> Machine::read_parts() {
    Boot boot;
    if (!specification_.firmware.empty()) {
        const std::string& path = specification_.firmware;
        DOPPEL_TRY(auto file, boot_files_.read(path, "read firmware"));
        DOPPEL_TRY(boot.firmware, boot::read_firmware_image(std::move(file), path));
    }
    if (!specification_.kernel.empty()) {
        DOPPEL_TRY(auto file, boot_files_.read(specification_.kernel, "read kernel"));
        DOPPEL_TRY(boot.kernel, boot::unpack_kernel(std::move(file), specification_.kernel,
                                                    /*raw_accepted=*/boot.firmware.has_value()));
    }
    if (!specification_.initrd.empty()) {
        DOPPEL_TRY(boot.initrd, boot_files_.read(specification_.initrd, "read initrd"));
        boot.initrd_path = specification_.initrd;
    }
    if (!flash_.empty()) boot.flash = riscv64::map::kFlash;
    DOPPEL_TRY(boot.layout, boot::plan_boot(boot.parts(), {riscv64::map::kRam, ram_size()}));
    return boot;
}

boot::BootParts Machine::Boot::parts() const {
    return {.firmware = firmware ? &*firmware : nullptr,
            .kernel = kernel ? &*kernel : nullptr,
            .initrd = initrd,
            .initrd_path = initrd_path,
            .flash = flash};
}

Result<> Machine::load(Boot& boot) {
    DOPPEL_TRY(auto tree, riscv64::Board::device_tree({.harts = specification_.cpus,
                                                       .irqchip = specification_.irqchip,
                                                       .vector_bits = specification_.vlen,
                                                       .ram_size = ram_size(),
                                                       .command_line = command_line(),
                                                       .initrd_start = boot.layout.initrd_start,
                                                       .initrd_end = boot.layout.initrd_end,
                                                       .host_firmware = !boot.firmware,
                                                       .flash = !flash_.empty(),
                                                       .virtio_slots = board_->virtio_slots()}));
    DOPPEL_CHECK(boot::load_boot(memory_, boot.layout, boot.parts(), tree));
    if (!boot.firmware) return {};
    const auto rom =
        boot::make_boot_rom({boot.layout.entry, boot.layout.device_tree, /*next_stage=*/boot.layout.next_stage});
    if (memory_.write(riscv64::map::kBootRom, rom)) return {};
    return fail(Error{"boot", "reset vector", "there is no memory for it", ""});
}

Result<> Machine::prepare_htif(const Boot& boot) {
    htif_.reset();
    if (!boot.firmware || !boot.firmware->elf) return {};
    DOPPEL_TRY(auto symbols, boot.firmware->elf->read_symbols());
    auto tohost = symbols.find("tohost");
    if (!tohost) return {};
    auto fromhost = symbols.find("fromhost");
    const uint64_t bias = boot.layout.firmware_bias;
    htif_ = std::make_unique<Htif>(memory_, tohost->address + bias,
                                   fromhost ? std::optional(fromhost->address + bias) : std::nullopt,
                                   [this](std::span<const uint8_t> bytes) { console_->write(bytes); });
    return {};
}

Result<trace::Symbols> Machine::read_symbols(const Boot& boot) const {
    trace::Symbols symbols;
    if (boot.kernel && boot.kernel->kind == boot::KernelKind::kElf) {
        DOPPEL_TRY(auto elf, boot::Elf::parse(boot.kernel->bytes, EM_RISCV, {"read kernel", specification_.kernel}));
        DOPPEL_TRY(auto table, elf.read_symbols());
        const boot::ElfSegment& first = elf.segments().front();
        symbols.add(std::move(table), {0, first.physical_address + boot.layout.kernel_bias - first.virtual_address});
    }
    if (boot.firmware && boot.firmware->elf) {
        DOPPEL_TRY(auto table, boot.firmware->elf->read_symbols());
        symbols.add(std::move(table), {boot.layout.firmware_bias});
    }
    return symbols;
}

void Machine::poll_htif() {
    std::unique_lock guard(htif_lock_, std::try_to_lock);
    if (!guard || !htif_) return;
    constexpr uint64_t kLargestCode = 255;
    if (auto code = htif_->poll()) end({.code = static_cast<int>(std::min(*code, kLargestCode))});
}

Result<> Machine::open_console() {
    auto quit = [this] { end({}); };
    DOPPEL_TRY(console_, Console::open(specification_.console, *loop_, quit, file_remover_.get()));
    if (const std::string where = console_->location(); !where.empty()) {
        std::fprintf(stderr, "doppel: the console is %s\n", where.c_str());
    }
    board_->uart().attach(*console_);
    console_input_ = std::make_unique<ConsoleInput>(board_->uart(), *console_);
    console_->connect(*console_input_);
    return {};
}

Result<> Machine::open_agent() {
    agent_ = std::make_unique<agent::AgentLink>(*loop_, *agent_pipe_);
    if (specification_.agent.empty()) return {};
    DOPPEL_TRY(agent_server_, agent::AgentServer::open(specification_.agent, *loop_, *agent_, file_remover_.get()));
    return {};
}

std::string Machine::command_line() const {
    return boot::with_parameters(specification_.append, shares_->parameters());
}

bool Machine::keeps_changes() const {
    return std::ranges::any_of(specification_.shares, [](const ShareChoice& share) { return share.snapshot; });
}

bool Machine::makes_sockets() const {
    bool debugger = !specification_.gdb.empty() && !gdb::debugger_port(specification_.gdb);
    return specification_.console.kind == ConsoleKind::kSocket || !specification_.agent.empty() ||
           !specification_.control.empty() || debugger || !specification_.vsock.path.empty();
}

bool Machine::accepts_clients() const {
    return makes_sockets() || !specification_.gdb.empty();
}

Result<> Machine::settle() {
    if (!specification_.sandbox) {
        log_warning("--sandbox off: a guest that breaks out of this machine can do whatever you can");
    }
    DOPPEL_CHECK(open_debugger());
    DOPPEL_CHECK(open_agent());
    DOPPEL_CHECK(open_control());
    // The console last, so that what is wrong before that is said on a terminal that is still the user's.
    DOPPEL_CHECK(open_console());
    if (file_remover_) file_remover_->seal();
    DOPPEL_CHECK(confine_files());  // threads inherit it
    if (disks_) DOPPEL_CHECK(disks_->restart_threads());
    engines_->start_threads();
    shares_->start_threads(specification_.cpus);
    DOPPEL_CHECK(harts_->create_threads());
    DOPPEL_CHECK(
        keep_to({specification_.limits.cpu_quota, specification_.limits.io_bps, specification_.limits.io_iops}));
    return confine_calls();
}

Result<> Machine::confine_files() const {
    if (!specification_.sandbox) return {};
    DOPPEL_TRY(const sandbox::Missing missing, sandbox::confine_files(shares_->folders()));
    if (!missing.empty()) log_warning("sandbox: {}", missing);
    return {};
}

Result<> Machine::confine_calls() const {
    if (!specification_.sandbox) return {};
    DOPPEL_TRY(const sandbox::Missing missing,
               sandbox::confine_calls({.accept_connections = accepts_clients(),
                                       .receive_descriptors = vsock_ != nullptr || control_server_ != nullptr,
                                       .terminal = specification_.console.kind == ConsoleKind::kStdio,
                                       .disks = disks_ != nullptr,
                                       .shares = !specification_.shares.empty(),
                                       .shared_changes = shares_->changes(),
                                       .shared_owners = geteuid() == 0,
                                       .link = !plugs_.empty(),
                                       .taps = std::ranges::any_of(specification_.networks, is_tap)}));
    if (!missing.empty()) log_warning("sandbox: {}", missing);
    return {};
}

Result<Machine::End> Machine::run_once() {
    {
        DOPPEL_TRY(auto boot, read_parts());
        DOPPEL_CHECK(load(boot));
        DOPPEL_CHECK(prepare_htif(boot));
        if (traces_) {
            DOPPEL_TRY(auto symbols, read_symbols(boot));
            DOPPEL_CHECK(traces_->begin(std::move(symbols)));
        }
        if (!console_) {
            if (statistics_) DOPPEL_CHECK(statistics_->begin());
            DOPPEL_CHECK(settle());
        }
        if (!boot.firmware) board_->hand_to_supervisor();
        harts_->start({.entry = boot.firmware ? riscv64::map::kBootRom : boot.layout.entry,
                       .device_tree = boot.layout.device_tree,
                       .host_firmware = !boot.firmware});
        if (debug_target_) debug_target_->harts_started();
        tell_started();
    }
    loop_->run();
    if (traces_) traces_->set_hurry(true);
    harts_->stop();
    if (traces_) traces_->set_hurry(false);
    std::lock_guard guard(end_lock_);
    return *std::exchange(end_, std::nullopt);
}

Result<int> Machine::run() {
    while (true) {
        DOPPEL_TRY(End how, run_once());
        if (!how.reboot) {
            if (debugger_) debugger_->target_ended(how.code);
            const Result<> closed = close_disks();
            console_->finish();
            if (!closed) {
                log_error("{}", closed.error().message());
                how.code = std::max(how.code, 1);
            }
            if (statistics_) report_statistics();
            if (translations_) translations_->finish();
            return how.code;
        }
        board_->reset();
        console_input_->reset();
        if (disks_) disks_->drain();  // what is under way still writes to memory
        if (!memory_.discard(riscv64::map::kRam, ram_size())) {
            return fail(Error{"reboot", "guest memory", "it cannot be emptied", "start the machine again"});
        }
    }
}

void Machine::report_statistics() {
    cpu::Statistics counts;
    harts_->add_statistics(counts);
    engines_->add_statistics(counts);
    statistics_->write(engines_->current().name(), harts_->count(), counts);
}

Result<> Machine::change_engine(EngineChoice choice) {
    DOPPEL_CHECK(engines_->choose(choice));
    harts_->change_engine(engines_->current());
    return {};
}

void Machine::end(End how) {
    {
        std::lock_guard guard(end_lock_);
        if (end_) return;
        end_ = how;
    }
    loop_->stop();
}

void Machine::finish(device::Finish finish) {
    switch (finish.kind) {
        case device::FinishKind::kPass:
            return end({});
        case device::FinishKind::kFail: {
            // An exit code of the guest's own where one fits; what says failure never becomes success.
            constexpr unsigned kLargestCode = 255;
            return end({.code = static_cast<int>(std::clamp<unsigned>(finish.code, 1, kLargestCode))});
        }
        case device::FinishKind::kReset:
            return end({.reboot = !specification_.no_reboot});
    }
}

void Machine::reset_system(firmware::SystemReset kind, bool failed) {
    if (kind == firmware::SystemReset::kReboot) return end({.reboot = !specification_.no_reboot});
    end({.code = failed ? 1 : 0});
}

}  // namespace doppel::machine
