#include "instance/lifecycle.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>

#include "agent/messages.h"
#include "base/unix_socket.h"

namespace doppel::instance {
namespace {

using machine::control::Command;
using machine::control::Request;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kControlPatience = 5'000;  // milliseconds
constexpr int kKillPatience = 10'000;    // milliseconds

int left_until(Clock::time_point end) {
    const auto rest = std::chrono::ceil<milliseconds>(end - Clock::now()).count();
    return static_cast<int>(std::clamp<int64_t>(rest, 0, 1 << 30));
}

bool has_stopped(const Store& store, const Instance& instance) {
    const auto directory = store.folder().directory_of(instance.row.id);
    const auto lock = open_lock_file(directory);
    return !lock || !is_locked(lock->get(), kRunsByte);
}

// To the keeper, or where that was killed to the machine itself. False: there is neither.
bool signal_keeper(const Store& store, const Instance& instance, int signal) {
    const auto directory = store.folder().directory_of(instance.row.id);
    const auto record = read_record(directory);
    if (!record) return false;
    if (const auto keeper = open_holder(record->keeper, directory)) return send_signal(keeper->get(), signal);
    if (signal == SIGUSR1) return true;  // nobody starts it again anyway
    const auto machine = open_holder(record->machine, directory);
    return machine && send_signal(machine->get(), signal == SIGQUIT ? SIGKILL : signal);
}

bool ask_agent_to_power_off(const Store& store, const Instance& instance, int patience) {
    auto agent = reach_agent(store, instance, patience);
    if (!agent) return false;
    const auto outcome = agent->run(agent::Service::kPower, agent::encode(agent::PowerRequest{}));
    return outcome && outcome->status == agent::Status::kDone;
}

bool ask_to_shut_down(const Store& store, const Instance& instance, int patience) {
    constexpr int kLongest = 1'000;  // milliseconds: an agent that is there answers at once
    if (ask_agent_to_power_off(store, instance, std::min(patience, kLongest))) return true;
    return control(store, instance, {Command::kPowerKey}).has_value();
}

}  // namespace

Error not_running(const Instance& instance, std::string failed) {
    return {std::move(failed), instance.row.name, "it is " + std::string(name_of(instance.state)),
            "start it: doppel start " + instance.row.name};
}

bool wait_until_stopped(const Store& store, const Instance& instance, int patience) {
    const auto end = Clock::now() + milliseconds(patience);
    const auto directory = store.folder().directory_of(instance.row.id);
    while (!has_stopped(store, instance)) {
        const int left = patience < 0 ? -1 : left_until(end);
        if (left == 0) return false;
        const auto record = read_record(directory);
        const auto keeper = record ? open_holder(record->keeper, directory) : std::nullopt;
        // Nothing tells of a lock that was freed: without a keeper it is looked at again and again.
        constexpr int kStep = 20;
        if (keeper)
            wait_for_end(keeper->get(), left);
        else
            std::this_thread::sleep_for(milliseconds(kStep));
    }
    return true;
}

Result<machine::control::Status> control(const Store& store, const Instance& instance, const Request& request,
                                         int descriptor) {
    auto folder = ShortPath::of(store.folder().runtime_of(instance.row.id));
    if (!folder) return fail(not_running(instance, "control the machine"));
    return machine::control::ask(*folder / kControlSocket, request, kControlPatience, descriptor);
}

Result<agent::client::Client> reach_agent(const Store& store, const Instance& instance, int patience) {
    auto folder = ShortPath::of(store.folder().runtime_of(instance.row.id));
    if (!folder) return fail(not_running(instance, "reach the guest's agent"));
    return agent::client::Client::connect(*folder / kAgentSocket, patience);
}

Result<UniqueFd> open_console(const Store& store, const Instance& instance) {
    const auto failed = [&](int error) { return fail(Error::system("open the console", instance.row.name, error)); };
    auto folder = ShortPath::of(store.folder().runtime_of(instance.row.id));
    if (!folder) return fail(not_running(instance, "open the console"));
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = unix_socket_address(*folder / kConsoleSocket);
    if (!socket || connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return failed(errno);
    return socket;
}

Result<> stop(Store& store, const Instance& instance, int patience) {
    const auto end = Clock::now() + milliseconds(patience);
    if (!signal_keeper(store, instance, SIGUSR1) && has_stopped(store, instance)) return {};
    (void)control(store, instance, {Command::kResume});  // a guest that is paused hears nothing
    constexpr int kAgain = 500;                          // milliseconds: it may be about to start what listens
    bool asked = false;
    while (left_until(end) > 0) {
        asked = asked || ask_to_shut_down(store, instance, left_until(end));
        if (wait_until_stopped(store, instance, asked ? left_until(end) : std::min(kAgain, left_until(end)))) return {};
    }
    constexpr int kOrderly = 5'000;  // milliseconds for disks to be flushed
    signal_keeper(store, instance, SIGTERM);
    if (wait_until_stopped(store, instance, kOrderly)) return {};
    return kill(store, instance);
}

Result<> kill(Store& store, const Instance& instance) {
    signal_keeper(store, instance, SIGQUIT);
    if (wait_until_stopped(store, instance, kKillPatience)) return {};
    return fail(Error{"kill", instance.row.name, "it has not ended", "the host's kernel holds it; look at dmesg"});
}

}  // namespace doppel::instance
