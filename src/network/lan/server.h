// A network's switch as a process: members that come and go over a unix socket (protocol.h), and what they are told.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "network/lan/capture.h"
#include "network/lan/member.h"
#include "network/lan/network_options.h"
#include "network/lan/protocol.h"
#include "network/lan/services.h"
#include "network/lan/switch.h"
#include "network/port.h"

namespace doppel::network::lan {

// What leads out of the network: opened before the process is confined.
struct UplinkParts {
    std::unique_ptr<Port> port;
    std::string name;  // as it is shown
    // Lets a port of the host (network/forward.h) lead to an address of the network; null: it cannot.
    std::function<Result<>(const std::string& forward, const std::string& address)> publish;
    // The other way round, when the member leaves.
    std::function<void(const std::string& forward)> withdraw;
};

class Server final : private MemberHost {
  public:
    static constexpr uint64_t kIdle = 10'000'000'000;  // nanoseconds that a network lasts without members

    // `folder` holds the sockets, a descriptor of the caller's; the socket is there when this returns.
    static Result<std::unique_ptr<Server>> open(EventLoop& loop, const NetworkOptions& options, int folder);
    ~Server() override;

    Result<> add_uplink(UplinkParts parts);
    // Until it is told to end, or no member is left for kIdle. The socket is gone then.
    void run();
    // Takes the socket away: nobody finds this switch any more.
    void leave();
    Switch& lan() { return lan_; }

  private:
    struct Uplink;
    // Somebody who has not said yet what they want, or who captures.
    struct Guest {
        UniqueFd socket;
        std::unique_ptr<Capture> capture;
    };

    Server(EventLoop& loop, const NetworkOptions& options, int folder);
    void accept_all();
    void hear(std::list<Guest>::iterator guest);
    void answer(std::list<Guest>::iterator guest, const Json& request);
    Result<> join(Guest& guest, const Json& request);
    Result<> publish(const std::vector<std::string>& forwards, const std::optional<Ipv4>& address, Member& member);
    void forget(Member& member);
    void start_capture(Guest& guest, const Json& request);
    void drop(std::list<Guest>::iterator guest);
    Json show() const;
    void watch_idle();
    void end_if_idle();
    void set_mirror();

    // MemberHost
    void left(Member& member, const char* why) override;
    void touched(Member& member) override;
    void settle() override;

    EventLoop& loop_;
    const NetworkOptions options_;
    const int folder_;
    Switch lan_;
    Services services_;
    UniqueFd listener_;
    std::unique_ptr<Uplink> uplink_;
    std::list<Guest> guests_;
    std::list<std::unique_ptr<Member>> members_;
    std::vector<Member*> touched_;
    EventLoop::Timer idle_;
    bool gone_ = false;
    uint64_t put_off_ = 0;  // members that damaged their rings
};

}  // namespace doppel::network::lan
