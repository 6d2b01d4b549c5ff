// A machine: memory, board, harts and console, put together from a specification and run to its end.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "device/timebase.h"
#include "machine/agent/link.h"
#include "machine/agent/server.h"
#include "machine/boot_files.h"
#include "machine/console/console.h"
#include "machine/console_input.h"
#include "machine/control/server.h"
#include "machine/cpu_quota.h"
#include "machine/debug_target.h"
#include "machine/disks.h"
#include "machine/engines.h"
#include "machine/flash_bank.h"
#include "machine/gdb/server.h"
#include "machine/harts.h"
#include "machine/htif.h"
#include "machine/pauses.h"
#include "machine/riscv64_board.h"
#include "machine/sandbox/file_remover.h"
#include "machine/shares.h"
#include "machine/spec/specification.h"
#include "machine/statistics_report.h"
#include "machine/trace/traces.h"
#include "machine/translation_store.h"
#include "machine/vsock_host.h"
#include "memory/guest_memory.h"
#include "network/mac_address.h"
#include "network/port.h"

namespace doppel::device::virtio::balloon {
class BalloonDevice;
}
namespace doppel::device::virtio::input {
class PowerKeyDevice;
}
namespace doppel::device::virtio::net {
class NetDevice;
}

namespace doppel::machine {

class Machine final : private control::Target {
  public:
    // Takes what the specification asks for (memory, console); boots nothing yet.
    static Result<std::unique_ptr<Machine>> create(Specification specification);
    ~Machine() override;

    // Boots, and again after each reboot, until the guest powers off, fails, or the user or a signal ends it. The
    // thread becomes the I/O thread. Returns the exit code; an error when the first boot could not begin. SIGTERM,
    // SIGINT and SIGHUP must be blocked in all threads: they end the machine in an orderly way.
    Result<int> run();

    // On the I/O thread, while it runs: the guest goes on by another engine without its notice.
    Result<> change_engine(EngineChoice choice);

    // A descriptor that gets a byte when guest code begins to run, and is closed then. Before `run`.
    void tell_when_started(UniqueFd descriptor) { started_ = std::move(descriptor); }

  private:
    struct End {
        bool reboot = false;
        int code = 0;
    };
    // What one boot needs besides the devices.
    struct Boot {
        std::optional<boot::FirmwareImage> firmware;
        std::optional<boot::KernelImage> kernel;
        std::vector<uint8_t> initrd;
        std::string initrd_path;
        std::optional<uint64_t> flash;
        boot::BootLayout layout;
        boot::BootParts parts() const;
    };

    explicit Machine(Specification specification) : specification_(std::move(specification)) {}
    Result<> build();
    Result<> add_flash();
    // machine_virtio.cpp
    Result<std::vector<riscv64::VirtioSlot>> make_virtio_devices();
    Result<> open_disks();
    // No hart runs.
    Result<> close_disks();
    Result<> open_vsock();
    Result<> open_networks();
    Result<> watch_signals();
    Result<Boot> read_parts();
    Result<> load(Boot& boot);
    Result<> prepare_htif(const Boot& boot);
    void poll_htif();
    // machine_debug.cpp: what `--gdb` asks for, if it does.
    Result<> open_debugger();
    // The names that the guest's ELF files give, for the trace.
    Result<trace::Symbols> read_symbols(const Boot& boot) const;
    Result<> open_console();
    Result<> open_agent();
    // machine_control.cpp
    Result<> open_control();
    Result<> carry_out(const control::Request& request, std::vector<UniqueFd> descriptors) override;
    control::Status status() const override;
    // machine_plug.cpp: devices that come and go
    Result<> attach_disk(const std::string& text, std::vector<UniqueFd> descriptors);
    Result<> find_disk(const std::string& text);
    Result<> detach_disk(const std::string& text);
    // machine_limits.cpp: what it keeps to by itself. First of all, as threads and processes inherit some of it.
    Result<> take_share();
    Result<> keep_to(const control::Limits& limits);
    void place_hart(unsigned hart) const;
    void tell_started();
    // Makes what can be made before the process is confined only, and confines it.
    Result<> settle();
    std::string command_line() const;
    Result<> confine_files() const;
    Result<> confine_calls() const;
    // Sockets that clients come to: the console's, the debugger's, the guest's.
    bool makes_sockets() const;
    bool accepts_clients() const;
    bool keeps_changes() const;  // in temporary folders
    Result<End> run_once();
    void report_statistics();
    // The first end counts. Thread-safe.
    void end(End how);
    void finish(device::Finish finish);
    void reset_system(firmware::SystemReset kind, bool failed);
    uint64_t ram_size() const { return specification_.memory; }

    const Specification specification_;
    std::unique_ptr<TranslationStore> translations_;        // null: none are kept
    std::unique_ptr<sandbox::FileRemover> file_remover_;    // of sockets, if there are any
    std::unique_ptr<sandbox::SocketBroker> socket_broker_;  // until vsock_ has it
    BootFiles boot_files_;
    memory::GuestMemory memory_;
    std::unique_ptr<EventLoop> loop_;
    std::unique_ptr<Disks> disks_;      // null: none
    std::unique_ptr<VsockHost> vsock_;  // null: no vsock
    // A card each.
    struct Plug {
        std::unique_ptr<network::Port> port;
        network::MacAddress mac;
        uint16_t mtu;
    };
    std::vector<Plug> plugs_;
    std::unique_ptr<device::Timebase> timebase_;
    UniqueFd signals_;
    std::unique_ptr<Console> console_;
    std::unique_ptr<agent::PortPipe> agent_pipe_;
    std::unique_ptr<device::virtio::VirtioDevice> unplugged_port_;  // the agent's, where it is not to be had
    device::Bus bus_;
    std::unique_ptr<Engines> engines_;
    std::unique_ptr<trace::Traces> traces_;
    std::unique_ptr<StatisticsReport> statistics_;  // null: nobody asks
    std::unique_ptr<Harts> harts_;
    std::vector<FlashBank> flash_;  // all of the board's banks, or none
    std::unique_ptr<Shares> shares_;
    std::unique_ptr<riscv64::Board> board_;
    std::unique_ptr<ConsoleInput> console_input_;
    std::unique_ptr<agent::AgentLink> agent_;
    std::unique_ptr<agent::AgentServer> agent_server_;  // null: nobody asked for it
    std::unique_ptr<DebugTarget> debug_target_;
    std::unique_ptr<gdb::Server> debugger_;
    std::unique_ptr<Pauses> pauses_;
    std::unique_ptr<CpuQuota> quota_;
    control::Limits limits_;
    unsigned slot_ = 0;                                           // that the last request was about
    std::vector<device::virtio::net::NetDevice*> network_cards_;  // the board's
    device::virtio::balloon::BalloonDevice* balloon_ = nullptr;   // the board's
    device::virtio::input::PowerKeyDevice* power_key_ = nullptr;
    std::unique_ptr<control::ControlServer> control_server_;  // null: nobody asked for it
    UniqueFd started_;
    std::mutex htif_lock_;  // leaf
    std::unique_ptr<Htif> htif_;

    std::mutex end_lock_;  // leaf
    std::optional<End> end_;
};

}  // namespace doppel::machine
