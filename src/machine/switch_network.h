// A machine's place at a switch.
#pragma once

#include <memory>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "machine/spec/net_choice.h"
#include "network/lan/member_port.h"
#include "network/mac_address.h"

namespace doppel::machine {

// Joins, and starts the switch where it does not run; `forwards` lead in when this returns. Before the machine is
// confined: one that loses its switch cannot find another.
Result<std::unique_ptr<network::lan::MemberPort>> join_switch(EventLoop& loop, const NetChoice& choice,
                                                              const network::MacAddress& mac,
                                                              const std::vector<network::Forward>& forwards);

}  // namespace doppel::machine
