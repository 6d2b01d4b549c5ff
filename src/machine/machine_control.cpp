// What a running machine does for whoever asks over its control socket.
#include <unistd.h>

#include "device/virtio/balloon/device.h"
#include "device/virtio/input/device.h"
#include "device/virtio/net/device.h"
#include "machine/machine.h"

namespace doppel::machine {

Result<> Machine::carry_out(const control::Request& request, std::vector<UniqueFd> descriptors) {
    slot_ = 0;
    using control::Command;
    const auto refuse = [](std::string what, std::string why, std::string cure = {}) {
        return fail(Error{std::move(what), "the machine", std::move(why), std::move(cure)});
    };
    switch (request.command) {
        case Command::kStatus:
            return {};
        case Command::kPause:
            if (debug_target_) return refuse("pause", "a debugger has it");
            pauses_->begin(Pauses::Reason::kUser);
            return {};
        case Command::kResume:
            pauses_->end(Pauses::Reason::kUser);
            return {};
        case Command::kPowerKey:
            if (power_key_->press_power()) return {};
            return refuse("press the power key", "no driver in the guest listens to it");
        case Command::kBalloon:
            if (request.bytes > ram_size()) return refuse("take memory", "it has no more than its memory");
            balloon_->set_target(request.bytes);
            return {};
        case Command::kEngine: {
            const auto choice = engine_from(request.engine);
            if (!choice) return refuse("change the engine", request.engine + " is none", "give translate or interpret");
            return change_engine(*choice);
        }
        case Command::kLimits:
            return keep_to(request.limits);
        case Command::kAttachDisk:
            return attach_disk(request.disk, std::move(descriptors));
        case Command::kFindDisk:
            return find_disk(request.disk);
        case Command::kDetachDisk:
            return detach_disk(request.disk);
        case Command::kQuit:
            end({});
            return {};
    }
    return {};
}

control::Status Machine::status() const {
    uint64_t received = 0, sent = 0;
    for (const device::virtio::net::NetDevice* card : network_cards_) {
        received += card->received();
        sent += card->sent();
    }
    return {.paused = pauses_->is(Pauses::Reason::kUser),
            .engine = std::string(engines_->current().name()),
            .cpus = specification_.cpus,
            .memory = specification_.memory,
            .balloon = balloon_->actual(),
            .balloon_target = balloon_->target(),
            .instructions = harts_->retired(),
            .net_received = received,
            .net_sent = sent,
            .limits = limits_,
            .slot = slot_};
}

Result<> Machine::open_control() {
    if (specification_.control.empty()) return {};
    DOPPEL_TRY(control_server_,
               control::ControlServer::open(specification_.control, *loop_, *this, file_remover_.get()));
    return {};
}

void Machine::tell_started() {
    if (!started_) return;
    // Whoever waits may be gone.
    [[maybe_unused]] const ssize_t put = write(started_.get(), "R", 1);
    started_.reset();
}

}  // namespace doppel::machine
