#include "network/lan/member_port.h"

#include <sys/epoll.h>

#include <utility>

#include "base/log.h"
#include "network/lan/protocol.h"
#include "network/link/message.h"

namespace doppel::network::lan {

MemberPort::MemberPort(EventLoop& loop, std::string name, UniqueFd socket, ring::Memory memory)
    : loop_(loop),
      name_(std::move(name)),
      socket_(std::move(socket)),
      memory_(std::move(memory)),
      writer_(memory_.shared().to_switch, memory_.to_switch()),
      reader_(memory_.shared().to_member, memory_.to_member()) {}

Result<std::unique_ptr<MemberPort>> MemberPort::create(EventLoop& loop, std::string name, UniqueFd socket,
                                                       ring::Memory memory) {
    std::unique_ptr<MemberPort> port(new MemberPort(loop, std::move(name), std::move(socket), std::move(memory)));
    DOPPEL_CHECK(loop.watch(port->socket_.get(), EPOLLIN, [made = port.get()](uint32_t) { made->ready(); }));
    port->pump_later();
    return port;
}

MemberPort::~MemberPort() {
    if (socket_) loop_.unwatch(socket_.get());
}

void MemberPort::attach(Receiver* receiver) {
    receiver_ = receiver;
}

void MemberPort::set_received(const Offloads& offloads) {
    memory_.shared().receives.store(ring::pack(offloads), std::memory_order_relaxed);
}

size_t MemberPort::send(std::span<const Frame> frames) {
    if (!up_.load()) return frames.size();  // lost, as on a wire that is cut
    size_t i = 0;
    while (i < frames.size()) {
        if (writer_.put(frames[i])) {
            i++;
            continue;
        }
        if (writer_.damaged()) {
            pump_later();
            return frames.size();
        }
        if (!writer_.wait_for_room()) continue;
        full_ = true;
        break;
    }
    if (writer_.publish()) wake(socket_.get());
    return i;
}

void MemberPort::resume() {
    stuck_ = false;
    pump_later();
}

void MemberPort::pump_later() {
    if (std::exchange(pumping_later_, true)) return;
    loop_.post([alive = std::weak_ptr(alive_), this] {
        if (alive.expired()) return;
        pumping_later_ = false;
        if (up_.load()) pump();
    });
}

void MemberPort::ready() {
    if (!take_wakes(socket_.get())) return lose_link("is gone");
    if (std::exchange(full_, false) && receiver_ != nullptr) receiver_->sendable();
    pump();
}

// One batch; the loop's others have their turn before the next one.
void MemberPort::pump() {
    if (stuck_) return;
    if (delivered_ == frames_.size()) {
        frames_.clear();
        delivered_ = 0;
        while (frames_.size() < kBatch) {
            const auto message = reader_.next();
            if (!message) break;
            // What is no frame is lost, as on a wire.
            if (const auto frame = link::frame_of(*message)) frames_.push_back(*frame);
        }
    }
    const auto rest = std::span(frames_).subspan(delivered_);
    delivered_ += receiver_ != nullptr && !rest.empty() ? receiver_->receive(rest) : rest.size();
    if (reader_.damaged() || writer_.damaged()) return lose_link("damages the memory that it shares");
    if (delivered_ < frames_.size()) {
        stuck_ = true;
        return;
    }
    if (reader_.release()) wake(socket_.get());
    if (!reader_.sleep()) pump_later();
}

void MemberPort::lose_link(const char* why) {
    if (!up_.exchange(false)) return;
    loop_.unwatch(socket_.get());
    socket_.reset();
    log_warning("network {}: its switch {}; the link is down until this machine is started again", name_, why);
    if (receiver_ != nullptr) receiver_->link_changed(false);
}

}  // namespace doppel::network::lan
