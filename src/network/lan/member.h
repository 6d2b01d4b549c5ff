// A member as its switch sees it: rings that both share, which it may damage, and a socket for wake-ups.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "network/lan/switch.h"
#include "network/ring/ring.h"

namespace doppel::network::lan {

class Member;

// Whose member it is. Called on the loop's thread.
class MemberHost {
  public:
    virtual ~MemberHost() = default;
    // It is gone, or is put off the switch for what it did; it does nothing any more and may be destroyed later only,
    // from the loop.
    virtual void left(Member& member, const char* why) = 0;
    // Something was put into its ring, which `flush` lets it see.
    virtual void touched(Member& member) = 0;
    // Flush those that were touched.
    virtual void settle() = 0;
};

class Member final : public Outlet {
  public:
    // Frames at a time, after which others have their turn.
    static constexpr size_t kBatch = 64, kBatchBytes = 512 << 10;

    static Result<std::unique_ptr<Member>> create(EventLoop& loop, Switch& lan, MemberHost& host, UniqueFd socket);
    ~Member() override;

    // Plugs it in; afterwards it is served.
    Result<> plug_in(const PortOptions& options, const MacAddress& mac);
    PortId port() const { return port_; }
    int socket() const { return socket_.get(); }
    int memory() const { return memory_.descriptor(); }
    void flush();

    std::vector<std::string> forwards;  // that lead to it

    bool put(const Frame& frame) override;
    Offloads takes() const override;

  private:
    Member(EventLoop& loop, Switch& lan, MemberHost& host, UniqueFd socket, ring::Memory memory);
    void ready();
    void serve();
    void serve_later();
    void end(const char* why);

    EventLoop& loop_;
    Switch& lan_;
    MemberHost& host_;
    UniqueFd socket_;
    ring::Memory memory_;
    ring::Writer writer_;
    ring::Reader reader_;
    PortId port_ = 0;
    Bucket rate_{0, 0};
    EventLoop::Timer pause_;
    bool serving_later_ = false, touched_ = false, ended_ = false;
    std::vector<uint8_t> frame_;  // the one that is looked at, which its sender cannot change any more
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace doppel::network::lan
