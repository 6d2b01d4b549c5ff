// A request is served by a child of the agent: a program, or a function. Whatever blocks, blocks there; the agent only
// carries bytes between the port and pipes.
#pragma once

#include <sys/types.h>

#include <optional>

#include "agent/frame.h"
#include "agent/messages.h"
#include "base/unique_fd.h"

namespace doppel::guest {

// The agent's ends. All are non-blocking and close-on-exec.
struct Worker {
    pid_t pid = -1;
    UniqueFd ended;   // a pidfd: readable when it has ended
    UniqueFd input;   // to its standard input; the terminal's end if it has one
    UniqueFd output;  // from its standard output; the same
    UniqueFd error;
    UniqueFd report;  // packets: a FrameType (kInfo, kResult) and its payload; towards it: kEnd when its input is whole
    bool program = false;  // in a session of its own, whose number is `pid`
    bool terminal = false;
};

// The child's side of `report`, with the input at descriptor 0 and the output at 1.
class Report {
  public:
    explicit Report(int fd) : fd_(fd) {}
    void info(const agent::Bytes& payload) const { send(agent::FrameType::kInfo, payload); }
    void result(const agent::Outcome& outcome) const { send(agent::FrameType::kResult, agent::encode(outcome)); }
    // After the end of the input: whether it is whole, and not just what came until the asker went away.
    bool input_is_whole() const;
    // Until the agent has passed on what was reported.
    void wait_until_passed_on() const;

  private:
    void send(agent::FrameType type, const agent::Bytes& payload) const;
    int fd_;
};

// nullopt with errno: there is no room for another process, or no descriptor.
std::optional<Worker> start_worker(agent::Service service, const agent::Bytes& request);
std::optional<Worker> start_program(const agent::ExecRequest& request);

// What the children run.
[[noreturn]] void run_program(const agent::ExecRequest& request, const char* terminal, const Report& report);
agent::Outcome put_file(const agent::PutRequest& request, const Report& report);
agent::Outcome get_file(const agent::GetRequest& request, const Report& report);
agent::Outcome change_power(const agent::PowerRequest& request, const Report& report);
agent::Outcome change_pci(const agent::PciRequest& request);
agent::Outcome set_time(const agent::TimeRequest& request);
agent::Outcome renew_identity(const agent::IdentityRequest& request);
agent::Outcome tell_statistics(const Report& report);

// Syncs, and leaves the rest to the kernel. Comes back only if the kernel refuses.
void power_off_now(agent::PowerAction action);

}  // namespace doppel::guest
