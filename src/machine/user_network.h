// A machine's network `user`: a process beside it (nat_main.cpp), and the port to it.
#pragma once

#include <memory>

#include "base/event_loop.h"
#include "base/result.h"
#include "machine/spec/net_choice.h"
#include "network/link/socket_port.h"

namespace doppel::machine {

// Starts the process, which ends when the port does; its ports of the host are taken when this returns. Before the
// machine is confined.
Result<std::unique_ptr<network::link::SocketPort>> start_user_network(EventLoop& loop, const NetChoice& choice,
                                                                      const std::vector<network::Forward>& forwards);

}  // namespace doppel::machine
