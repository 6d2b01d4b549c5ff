#include "network/lan/member.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "network/lan/protocol.h"
#include "network/link/message.h"

namespace doppel::network::lan {

Member::Member(EventLoop& loop, Switch& lan, MemberHost& host, UniqueFd socket, ring::Memory memory)
    : loop_(loop),
      lan_(lan),
      host_(host),
      socket_(std::move(socket)),
      memory_(std::move(memory)),
      writer_(memory_.shared().to_member, memory_.to_member()),
      reader_(memory_.shared().to_switch, memory_.to_switch()),
      pause_(loop, [this] { serve(); }) {}

Result<std::unique_ptr<Member>> Member::create(EventLoop& loop, Switch& lan, MemberHost& host, UniqueFd socket) {
    DOPPEL_TRY(auto memory, ring::Memory::create());
    return std::unique_ptr<Member>(new Member(loop, lan, host, std::move(socket), std::move(memory)));
}

Member::~Member() {
    if (!ended_ && port_ != 0) {
        loop_.unwatch(socket_.get());
        lan_.remove(port_);
    }
}

Result<> Member::plug_in(const PortOptions& options, const MacAddress& mac) {
    constexpr uint64_t kTenth = 10;
    DOPPEL_TRY(port_, lan_.add(options, mac, *this));
    if (options.rate != 0) rate_ = Bucket(options.rate, std::max<uint64_t>(options.rate / kTenth, kMaxFrame));
    DOPPEL_CHECK(loop_.watch(socket_.get(), EPOLLIN, [this](uint32_t) { ready(); }));
    serve_later();
    return {};
}

bool Member::put(const Frame& frame) {
    if (ended_) return false;
    if (!writer_.put(frame)) {
        if (writer_.damaged()) serve_later();  // which puts it off
        return false;
    }
    if (!std::exchange(touched_, true)) host_.touched(*this);
    return true;
}

Offloads Member::takes() const {
    return ring::unpack(memory_.shared().receives.load(std::memory_order_relaxed));
}

void Member::flush() {
    if (!std::exchange(touched_, false) || ended_) return;
    if (writer_.publish()) wake(socket_.get());
}

void Member::ready() {
    if (ended_) return;
    if (!take_wakes(socket_.get())) return end("");
    serve();
}

void Member::serve_later() {
    if (std::exchange(serving_later_, true)) return;
    loop_.post([alive = std::weak_ptr(alive_), this] {
        if (alive.expired()) return;
        serving_later_ = false;
        serve();
    });
}

void Member::serve() {
    if (ended_) return;
    bool more = true;
    for (size_t frames = 0, bytes = 0; frames < kBatch && bytes < kBatchBytes; frames++) {
        const uint64_t now = loop_.clock().monotonic();
        if (!rate_.open(now)) {
            // What it sends beyond its rate waits in its ring.
            pause_.arm(rate_.opens(now));
            more = false;
            break;
        }
        const auto message = reader_.next();
        if (!message) {
            more = !reader_.damaged() && !reader_.sleep();
            break;
        }
        frame_.assign(message->begin(), message->end());
        bytes += frame_.size();
        rate_.take(frame_.size());
        if (const auto frame = link::frame_of(frame_)) {
            lan_.input(port_, *frame);
        } else if (auto* port = lan_.find(port_)) {
            port->counters.received++;
            port->counters.bad_offload++;
        }
    }
    host_.settle();
    if (reader_.damaged() || writer_.damaged()) return end("it damages the memory that it shares");
    if (reader_.release()) wake(socket_.get());
    if (more) serve_later();
}

void Member::end(const char* why) {
    ended_ = true;
    pause_.disarm();
    loop_.unwatch(socket_.get());
    lan_.remove(port_);
    socket_.reset();
    host_.left(*this, why);
}

}  // namespace doppel::network::lan
