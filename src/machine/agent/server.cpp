#include "machine/agent/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <utility>

#include "base/unix_socket.h"

namespace doppel::machine::agent {

namespace {

using doppel::agent::FrameReader;
using doppel::agent::Hello;
using doppel::agent::Outcome;
using doppel::agent::Status;

// Beyond the credit that a client can give on all channels: one that never reads is cut off.
constexpr size_t kMaxOutput = 80 << 20;
static_assert(kMaxOutput > size_t{doppel::agent::kMaxChannels} * doppel::agent::kMaxWindow);

}  // namespace

class AgentServer::Client final : public ChannelOwner {
  public:
    Client(AgentServer& server, UniqueFd socket) : server_(server), socket_(std::move(socket)) {}
    ~Client() override { leave(); }

    bool gone() const { return !socket_; }
    bool watch() {
        const auto ready = [this](uint32_t events) { on_events(events); };
        if (!server_.loop_.watch(socket_.get(), EPOLLIN, ready)) return false;
        watched_ = EPOLLIN;
        return true;
    }
    void leave() {
        if (!socket_) return;
        server_.loop_.unwatch(socket_.get());
        socket_.reset();
        for (const auto& [own, links] : std::exchange(channels_, {})) server_.link_.abandon(links);
        output_.clear();
        server_.sweep_soon();
    }
    void greet() {
        if (!waiting_ || !server_.link_.ready()) return;
        Hello hello;
        hello.session = *std::exchange(waiting_, std::nullopt);
        hello.services = server_.link_.services();
        doppel::agent::append_hello(output_, hello);
        greeted_ = true;
        flush();
    }
    // Reads only what the link takes.
    void update() {
        if (!socket_) return;
        const uint32_t events =
            (server_.link_.crowded() ? 0 : uint32_t{EPOLLIN}) | (output_.size() > sent_ ? uint32_t{EPOLLOUT} : 0);
        if (events == watched_) return;
        if (server_.loop_.change(socket_.get(), events)) watched_ = events;
    }

    void from_agent(const Frame& frame) override {
        const auto found = std::ranges::find_if(channels_, [&](const auto& c) { return c.second == frame.channel; });
        if (found == channels_.end()) return;
        Frame own = frame;
        own.channel = found->first;
        if (frame.type == FrameType::kResult) channels_.erase(found);
        send(own);
    }

  private:
    void on_events(uint32_t events) {
        if ((events & EPOLLOUT) != 0) flush();
        if (socket_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_some();
        update();
    }
    void read_some() {
        std::array<uint8_t, doppel::agent::kMaxFrame> piece;
        const ssize_t got = ::read(socket_.get(), piece.data(), piece.size());
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got <= 0) return leave();
        reader_.feed({piece.data(), static_cast<size_t>(got)});
        while (socket_) {
            Frame frame;
            const auto found = reader_.next(frame);
            if (found == FrameReader::Found::kNothing) return;
            if (found == FrameReader::Found::kBroken || !take(frame)) return leave();
        }
    }
    // False: it breaks the protocol.
    bool take(const Frame& frame) {
        if (frame.type == FrameType::kHello) {
            const auto hello = doppel::agent::parse_hello(frame.payload);
            if (!hello || !doppel::agent::common_version({}, *hello)) return false;
            waiting_ = hello->session;
            greet();
            return true;
        }
        if (!greeted_) return false;
        const auto found = channels_.find(frame.channel);
        if (frame.type == FrameType::kOpen) return found == channels_.end() && (open(frame), true);
        if (found == channels_.end()) return true;  // it has just ended
        if (frame.type == FrameType::kClose) {
            server_.link_.abandon(found->second);
            channels_.erase(found);
            send_outcome(frame.channel, {.status = Status::kClosed});
            return true;
        }
        Frame passed = frame;
        passed.channel = found->second;
        return server_.link_.send(passed);
    }
    void open(const Frame& frame) {
        const bool known = frame.stream < doppel::agent::kServices;
        if (!server_.link_.ready()) {
            return send_outcome(frame.channel, {.status = Status::kLost, .why = "the guest's agent is not there"});
        }
        if (!known || (server_.link_.services() >> frame.stream & 1) == 0) {
            return send_outcome(frame.channel,
                                {.status = Status::kRefused, .error = ENOSYS, .why = "the agent cannot do this"});
        }
        const auto number = server_.link_.open(*this, frame.stream, frame.payload);
        if (!number) {
            return send_outcome(frame.channel,
                                {.status = Status::kRefused, .error = EAGAIN, .why = "too many requests at once"});
        }
        channels_[frame.channel] = *number;
    }
    void send_outcome(uint32_t channel, const Outcome& outcome) {
        const auto payload = doppel::agent::encode(outcome);
        send({.type = FrameType::kResult, .channel = channel, .payload = payload});
    }
    void send(const Frame& frame) {
        if (!socket_) return;
        if (output_.size() - sent_ > kMaxOutput) return leave();
        doppel::agent::append_frame(output_, frame);
        flush();
    }
    void flush() {
        constexpr size_t kTidy = 256 << 10;
        while (socket_ && sent_ < output_.size()) {
            const ssize_t put = ::send(socket_.get(), &output_[sent_], output_.size() - sent_, MSG_NOSIGNAL);
            if (put < 0 && errno == EINTR) continue;
            if (put < 0 && errno != EAGAIN) return leave();
            if (put < 0) break;
            sent_ += static_cast<size_t>(put);
        }
        if (sent_ == output_.size() || sent_ > kTidy) {
            output_.erase(output_.begin(), output_.begin() + static_cast<std::ptrdiff_t>(sent_));
            sent_ = 0;
        }
        update();
    }

    AgentServer& server_;
    UniqueFd socket_;
    uint32_t watched_ = 0;
    FrameReader reader_;
    bool greeted_ = false;
    std::optional<uint64_t> waiting_;        // a HELLO to answer: its session number
    std::map<uint32_t, uint32_t> channels_;  // the client's number -> the link's
    std::vector<uint8_t> output_;
    size_t sent_ = 0;  // of it
};

AgentServer::AgentServer(EventLoop& loop, AgentLink& link, UniqueFd listener)
    : loop_(loop), link_(link), listener_(std::move(listener)) {
    link_.listen(*this);
}

AgentServer::~AgentServer() {
    *alive_ = false;
    if (listening_) loop_.unwatch(listener_.get());
    clients_.clear();
}

Result<std::unique_ptr<AgentServer>> AgentServer::open(const std::string& path, EventLoop& loop, AgentLink& link,
                                                       sandbox::FileRemover* remover) {
    DOPPEL_TRY(UniqueFd listener, listen_on_unix_socket(path, "listen for clients of the agent"));
    if (remover != nullptr) {
        if (auto added = remover->add(path); !added) {
            unlink(path.c_str());
            return fail(added.error());
        }
    }
    std::unique_ptr<AgentServer> server(new AgentServer(loop, link, std::move(listener)));
    server->update_listener();
    return server;
}

void AgentServer::update_listener() {
    const bool wanted = clients_.size() < kMaxClients;
    if (wanted == listening_) return;
    if (!wanted) {
        loop_.unwatch(listener_.get());
        listening_ = false;
    } else if (loop_.watch(listener_.get(), EPOLLIN, [this](uint32_t) { accept_clients(); })) {
        listening_ = true;
    }
}

void AgentServer::accept_clients() {
    UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    auto client = std::make_unique<Client>(*this, std::move(socket));
    if (client->watch()) clients_.push_back(std::move(client));
    update_listener();
}

void AgentServer::agent_came() {
    for (auto& client : clients_) client->greet();
}

void AgentServer::link_has_room() {
    for (auto& client : clients_) client->update();
}

// A client that leaves is still somewhere on the stack.
void AgentServer::sweep_soon() {
    if (std::exchange(sweep_posted_, true)) return;
    loop_.post([this, alive = alive_] {
        if (*alive) sweep();
    });
}

void AgentServer::sweep() {
    sweep_posted_ = false;
    std::erase_if(clients_, [](const auto& client) { return client->gone(); });
    update_listener();
}

}  // namespace doppel::machine::agent
