// A member of a network that is no machine, for bench/network: it sends frames as fast as it can, or counts what comes.
//   switch_client NETWORK receive SECONDS         {"frames": N, "bytes": N, "seconds": S}, from the first frame on
//   switch_client NETWORK send BYTES SECONDS      frames of this size to whoever receives, TCP segments if large
#include <fcntl.h>
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "network/lan/folder.h"
#include "network/lan/frames_for_tests.h"
#include "network/lan/member_port.h"

namespace {

using namespace doppel;
namespace net = doppel::network;
namespace lan = doppel::network::lan;

constexpr net::MacAddress kReceiver{2, 0, 0, 0, 0xff, 1}, kSender{2, 0, 0, 0, 0xff, 2};
constexpr uint64_t kSecond = 1'000'000'000;
constexpr size_t kBatch = 32;
constexpr uint16_t kSegment = 1448;

class Client final : public net::Receiver {
  public:
    explicit Client(EventLoop& loop) : loop_(loop), end_(loop, [this] { loop_.stop(); }) {}

    Result<> join(const std::string& network, const net::MacAddress& mac) {
        DOPPEL_TRY(const lan::Folder folder, lan::Folder::of_user());
        DOPPEL_TRY(UniqueFd socket, folder.reach(network));
        DOPPEL_TRY(lan::Message answer, lan::ask(socket.get(), to_json(lan::JoinRequest{{}, mac, {}})));
        DOPPEL_TRY(auto memory, net::ring::Memory::open(std::move(answer.descriptor)));
        fcntl(socket.get(), F_SETFL, O_NONBLOCK);
        DOPPEL_TRY(port_, lan::MemberPort::create(loop_, network, std::move(socket), std::move(memory)));
        port_->attach(this);
        port_->set_received(lan::MemberPort::kAccepted);
        return {};
    }
    void end_after(uint64_t nanoseconds) { end_.arm(loop_.clock().monotonic() + nanoseconds); }
    void send_frames(size_t bytes) {
        large_ = bytes > 1514;
        frame_ = large_ ? lan::testing::tcp4(kReceiver, kSender, bytes - 54)
                        : lan::testing::ethernet(kReceiver, kSender, 0x88b5, bytes - 14);
        const net::Offload offload = large_ ? lan::testing::cut_tcp4(kSegment) : net::Offload{};
        batch_.assign(kBatch, net::Frame{offload, frame_});
        fill();
    }
    // Lets the switch know where it is.
    void greet() {
        const auto hello = lan::testing::ethernet(net::kBroadcast, kReceiver, 0x88b5);
        port_->send(std::vector<net::Frame>{{{}, hello}});
    }
    std::string counted() const {
        const double seconds = static_cast<double>(last_ - first_) / static_cast<double>(kSecond);
        return fmt::format("{{\"frames\": {}, \"bytes\": {}, \"seconds\": {:.6f}}}", frames_, bytes_, seconds);
    }
    bool heard() const { return frames_ != 0; }

    // What comes is copied, as a card does.
    size_t receive(std::span<const net::Frame> frames) override {
        last_ = loop_.clock().monotonic();
        if (frames_ == 0) first_ = last_;
        for (const net::Frame& frame : frames) {
            std::memcpy(copy_.data(), frame.bytes.data(), frame.bytes.size());
            bytes_ += frame.bytes.size();
        }
        frames_ += frames.size();
        return frames.size();
    }
    void sendable() override {
        if (!batch_.empty()) fill();
    }
    void link_changed(bool) override { loop_.stop(); }

  private:
    // Until the ring is full; then `sendable` goes on.
    void fill() {
        constexpr int kTurns = 16;
        for (int i = 0; i < kTurns; i++)
            if (port_->send(batch_) < batch_.size()) return;
        loop_.post([this] { fill(); });
    }

    EventLoop& loop_;
    EventLoop::Timer end_;
    std::unique_ptr<lan::MemberPort> port_;
    std::vector<uint8_t> frame_, copy_ = std::vector<uint8_t>(net::kMaxFrame);
    std::vector<net::Frame> batch_;
    bool large_ = false;
    uint64_t frames_ = 0, bytes_ = 0, first_ = 0, last_ = 0;
};

Result<int> run(const std::vector<std::string>& words) {
    if (words.size() < 3) return fail(Error::usage("switch_client", "give NETWORK receive|send ...", ""));
    const bool sends = words[1] == "send";
    DOPPEL_TRY(const auto loop, EventLoop::create());
    Client client(*loop);
    DOPPEL_CHECK(client.join(words[0], sends ? kSender : kReceiver));
    client.end_after(std::strtoull(words.back().c_str(), nullptr, 10) * kSecond);
    if (sends) {
        client.send_frames(std::strtoull(words[2].c_str(), nullptr, 10));
    } else {
        client.greet();
        std::puts("ready");
        std::fflush(stdout);
    }
    loop->run();
    if (!sends) std::puts(client.counted().c_str());
    return sends || client.heard() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const auto code = run({argv + 1, argv + argc});
    if (code) return *code;
    std::fprintf(stderr, "switch_client: %s\n", code.error().message().c_str());
    return 2;
}
