// The virtio devices of a machine, and what of the host is behind them.
#include <algorithm>

#include "base/entropy.h"
#include "device/virtio/balloon/device.h"
#include "device/virtio/console/device.h"
#include "device/virtio/input/device.h"
#include "device/virtio/net/device.h"
#include "device/virtio/rng/device.h"
#include "device/virtio/vsock/device.h"
#include "machine/machine.h"
#include "machine/switch_network.h"
#include "machine/tap/tap_port.h"
#include "machine/user_network.h"
#include "network/mac_address.h"
#include "network/port.h"

namespace doppel::machine {

namespace {

// Port 0 is what a driver without ports takes for a console; the machine's is the UART, so there is none.
constexpr unsigned kAgentPort = 1;
constexpr const char* kAgentPortName = "org.doppel.agent";

// Locally administered, of one card; a member of a switch that has a name has the same one each time.
network::MacAddress card_address(const NetChoice& choice) {
    if (choice.port.mac) return *choice.port.mac;
    if (!choice.port.name.empty()) return network::mac_for(choice.name + "/" + choice.port.name);
    network::MacAddress address{};
    (void)!host_entropy(address);
    address[0] = static_cast<uint8_t>((address[0] & 0xfc) | 2);
    return address;
}

}  // namespace

Result<std::vector<riscv64::VirtioSlot>> Machine::make_virtio_devices() {
    namespace slot = riscv64::slot;
    namespace virtio = device::virtio;
    namespace console = device::virtio::console;
    std::vector<riscv64::VirtioSlot> devices;
    devices.push_back({slot::kRng, std::make_unique<virtio::rng::RngDevice>()});
    auto balloon = std::make_unique<virtio::balloon::BalloonDevice>(memory_);
    balloon_ = balloon.get();
    devices.push_back({slot::kBalloon, std::move(balloon)});
    auto power_key = std::make_unique<virtio::input::PowerKeyDevice>();
    power_key_ = power_key.get();
    devices.push_back({slot::kInput, std::move(power_key)});
    if (vsock_) {
        devices.push_back(
            {slot::kVsock, std::make_unique<virtio::vsock::VsockDevice>(specification_.vsock.cid, *vsock_)});
    }
    for (unsigned i = 0; i < plugs_.size(); i++) {
        auto card = std::make_unique<virtio::net::NetDevice>(virtio::net::NetOptions{plugs_[i].mac, plugs_[i].mtu},
                                                             *plugs_[i].port);
        network_cards_.push_back(card.get());
        devices.push_back({slot::kNetwork + i, std::move(card)});
    }
    for (unsigned i = 0; disks_ && i < disks_->count(); i++) {
        devices.push_back({slot::kDisk + i, disks_->make_device(i, specification_.cpus)});
    }
    agent_pipe_ = std::make_unique<agent::PortPipe>(*loop_);
    auto emergency = [this](uint8_t character) { console_->write({&character, 1}); };
    auto ports = std::make_unique<console::ConsoleDevice>(console::ConsoleOptions{
        {{.number = kAgentPort, .name = kAgentPortName, .backend = agent_pipe_.get()}}, emergency});
    agent_pipe_->connect(*ports, kAgentPort);
    // Its driver polls for answers, which the check of translated code would see in one of its two runs only.
    if (specification_.engine == EngineChoice::kCheck) {
        unplugged_port_ = std::move(ports);
    } else {
        devices.push_back({slot::kConsole, std::move(ports)});
    }
    shares_->add_devices(devices, memory_, specification_.cpus);
    return devices;
}

Result<> Machine::open_disks() {
    // One that is controlled may get some later, when it is confined.
    if (specification_.disks.empty() && specification_.control.empty()) return {};
    DOPPEL_TRY(disks_, Disks::open(specification_.disks, *loop_));
    // A debugger decides alone what harts do; then the guest's requests wait, and it does not.
    disks_->set_standstill({.begin =
                                [this] {
                                    if (!debug_target_) pauses_->begin(Pauses::Reason::kStorage);
                                },
                            .end =
                                [this] {
                                    if (!debug_target_) pauses_->end(Pauses::Reason::kStorage);
                                }});
    return {};
}

Result<> Machine::close_disks() {
    if (!disks_) return {};
    if (!board_) disks_->forget_devices();
    return disks_->close();
}

Result<> Machine::open_networks() {
    for (size_t i = 0; i < specification_.networks.size(); i++) {
        const auto forwards = i == 0 ? specification_.forwards : std::vector<network::Forward>();
        NetChoice choice = specification_.networks[i];
        if (choice.kind == NetKind::kSwitch && choice.port.name.empty())
            choice.port.name = network::lan::label_of(specification_.name);
        Plug plug{nullptr, card_address(choice), network::kLargeMtu};
        switch (choice.kind) {
            case NetKind::kUser: {
                DOPPEL_TRY(plug.port, start_user_network(*loop_, choice, forwards));
                break;
            }
            case NetKind::kSwitch: {
                DOPPEL_TRY(plug.port, join_switch(*loop_, choice, plug.mac, forwards));
                break;
            }
            case NetKind::kTap:
            case NetKind::kBridge: {
                DOPPEL_TRY(Tap tap,
                           choice.kind == NetKind::kTap ? open_tap(choice.name) : open_tap_at_bridge(choice.name));
                plug.mtu = tap.mtu;
                DOPPEL_TRY(plug.port, TapPort::create(*loop_, std::move(tap)));
                break;
            }
        }
        plugs_.push_back(std::move(plug));
    }
    return {};
}

Result<> Machine::open_vsock() {
    if (!socket_broker_) return {};
    DOPPEL_TRY(vsock_, VsockHost::open(specification_.vsock.path, *loop_, std::move(socket_broker_), *file_remover_));
    return {};
}

}  // namespace doppel::machine
